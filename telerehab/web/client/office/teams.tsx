import { useState } from "preact/hooks";
import { newId } from "../shared/api";
import { t } from "../shared/i18n";
import { isoDay, longDay } from "../therapist/format";
import { useLoad, useSaving } from "../therapist/load";
import { Check, Choice, Field, Form } from "../therapist/parts/fields";
import { Panel, SaveState } from "../therapist/parts/panel";
import { office, type Staff, type Team } from "./api";

/** Teams share patients; a substitute stands in for somebody on stated days. */
export function TeamsView() {
  const teams = useLoad(office.teams, []);
  const staff = useLoad(office.staff, []);
  const therapists = (staff.value ?? []).filter((each) => each.role === "therapist" && !each.is_disabled);
  return (
    <div class="panels">
      <Panel title={t("office.teams.title")} loaded={teams} isEmpty={(list) => list.length === 0} empty={t("office.teams.empty")}>
        {(list) => (
          <ul class="plain-list">
            {list.map((team) => (
              <TeamRow key={team.id} team={team} therapists={therapists} onChanged={teams.reload} />
            ))}
          </ul>
        )}
      </Panel>
      <NewTeam onAdded={teams.reload} />
      <Substitutions therapists={therapists} />
    </div>
  );
}

function TeamRow({ team, therapists, onChanged }: { team: Team; therapists: Staff[]; onChanged: () => Promise<void> }) {
  const saving = useSaving();
  const members = new Set(team.members.filter((member) => member.ends_at === null).map((member) => member.account_id));
  const save = async (change: () => Promise<unknown>) => {
    if (await saving.run(change)) await onChanged();
  };
  const toggle = (accountId: string, isIn: boolean) => {
    const kept = team.members.filter((member) => member.account_id !== accountId).map(({ account_id, starts_at, ends_at }) => ({ account_id, starts_at, ends_at }));
    void save(() => office.setMembers(team.id, isIn ? [...kept, { account_id: accountId }] : kept));
  };
  return (
    <li class="stack">
      <fieldset>
        <legend>{team.name}</legend>
        {therapists.map((each) => (
          <Check key={each.id} label={each.display_name} isOn={members.has(each.id)} onChange={(isIn) => toggle(each.id, isIn)} />
        ))}
      </fieldset>
      <button
        type="button"
        class="button small danger"
        data-action="end-team"
        aria-label={t("office.teams.end.label", { name: team.name })}
        onClick={() => void save(() => office.endTeam(team.id))}
      >
        {t("office.teams.end")}
      </button>
      <SaveState saving={saving} />
    </li>
  );
}

function NewTeam({ onAdded }: { onAdded: () => Promise<void> }) {
  const [name, setName] = useState("");
  const [id, setId] = useState(newId);
  const saving = useSaving();
  const add = async () => {
    if (!(await saving.run(() => office.addTeam(id, name)))) return;
    setName("");
    setId(newId());
    await onAdded();
  };
  return (
    <section class="panel" aria-labelledby="new-team">
      <h2 id="new-team">{t("office.teams.new")}</h2>
      <Form onSubmit={() => void add()}>
        <Field label={t("office.teams.name")} value={name} onChange={setName} maxLength={200} />
        <button class="button primary" data-action="add-team">
          {t("office.add")}
        </button>
        <SaveState saving={saving} />
      </Form>
    </section>
  );
}

function Substitutions({ therapists }: { therapists: Staff[] }) {
  const loaded = useLoad(office.substitutions, []);
  const today = isoDay(new Date());
  const [absent, setAbsent] = useState("");
  const [substitute, setSubstitute] = useState("");
  const [firstOn, setFirstOn] = useState(today);
  const [lastOn, setLastOn] = useState(today);
  const [id, setId] = useState(newId);
  const saving = useSaving();
  const options = [["", t("office.choose")] as const, ...therapists.map((each) => [each.id, each.display_name] as const)];
  const save = async (change: () => Promise<unknown>) => {
    if (!(await saving.run(change))) return;
    setId(newId());
    await loaded.reload();
  };
  return (
    <Panel title={t("office.substitutes.title")} loaded={loaded} isEmpty={(list) => list.length === 0} empty={t("office.substitutes.empty")}>
      {(list) => (
        <>
          <ul class="plain-list">
            {list.map((each) => (
              <li key={each.id} class="row">
                <span class="grow">
                  {t("office.substitutes.row", { substitute: each.substitute_name, absent: each.absent_name, from: longDay(each.first_on), to: longDay(each.last_on) })}
                </span>
                <button
                  type="button"
                  class="button small danger"
                  data-action="end-substitution"
                  aria-label={t("office.substitutes.end.label", { substitute: each.substitute_name, absent: each.absent_name })}
                  onClick={() => void save(() => office.endSubstitution(each.id))}
                >
                  {t("office.substitutes.end")}
                </button>
              </li>
            ))}
          </ul>
          <Form
            label={t("office.substitutes.new")}
            onSubmit={() =>
              void save(() => office.addSubstitution({ id, absent_account_id: absent, substitute_account_id: substitute, first_on: firstOn, last_on: lastOn }))
            }
          >
            <Choice label={t("office.substitutes.absent")} value={absent} options={options} onChange={setAbsent} />
            <Choice label={t("office.substitutes.substitute")} value={substitute} options={options} onChange={setSubstitute} />
            <Field label={t("office.from")} type="date" value={firstOn} onChange={setFirstOn} />
            <Field label={t("office.to")} type="date" value={lastOn} min={firstOn} onChange={setLastOn} />
            <button class="button primary" data-action="add-substitution" disabled={absent === "" || substitute === "" || absent === substitute}>
              {t("office.add")}
            </button>
            <SaveState saving={saving} />
          </Form>
        </>
      )}
    </Panel>
  );
}
