import { useState } from "preact/hooks";
import { api, newId } from "../shared/api";
import { t } from "../shared/i18n";
import { matches, momentText, personText } from "../therapist/format";
import { useLoad, useSaving } from "../therapist/load";
import { Check, Choice, Field, Form } from "../therapist/parts/fields";
import { Panel, SaveState } from "../therapist/parts/panel";
import { PersonName } from "../therapist/parts/person";
import type { Person } from "../therapist/types";
import { office, type Holder, type Staff, type Team } from "./api";

const SHOWN_MAX = 50;

/** All patients of the organisation, and who treats whom; nothing of what they train. */
export function PatientsView() {
  const patients = useLoad(api.patients, []);
  const staff = useLoad(office.staff, []);
  const teams = useLoad(office.teams, []);
  const [typed, setTyped] = useState("");
  const holders = holderOptions(staff.value ?? [], teams.value ?? []);
  return (
    <div class="panels">
      <Panel title={t("office.patients.title")} loaded={patients} isEmpty={(list) => list.length === 0} empty={t("office.patients.empty")}>
        {(list) => {
          const found = list.filter((person) => matches(person, typed));
          return (
            <>
              <Field label={t("office.patients.search")} type="search" required={false} value={typed} onChange={setTyped} hint={t("person.search.hint")} />
              <p class="soft" role="status">
                {t("office.patients.count", { found: found.length, all: list.length })}
              </p>
              <ul class="plain-list">
                {found.slice(0, SHOWN_MAX).map((person) => (
                  <PatientRow key={person.id} person={person} holders={holders} />
                ))}
              </ul>
              {found.length > SHOWN_MAX && <p class="soft">{t("office.patients.more", { count: found.length - SHOWN_MAX })}</p>}
            </>
          );
        }}
      </Panel>
      <NewPatientForm holders={holders} onAdded={patients.reload} />
    </div>
  );
}

type HolderOption = readonly [string, string];

function holderOptions(staff: Staff[], teams: Team[]): HolderOption[] {
  return [
    ["", t("office.choose")],
    ...teams.map((team): HolderOption => [`team:${team.id}`, t("office.patients.team", { name: team.name })]),
    ...staff.filter((each) => each.role === "therapist" && !each.is_disabled).map((each): HolderOption => [`therapist:${each.id}`, each.display_name]),
  ];
}

export function holderOf(chosen: string): Holder {
  const [kind, id] = chosen.split(":");
  if (id === undefined) return {};
  return kind === "team" ? { team_id: id } : { therapist_id: id };
}

function PatientRow({ person, holders }: { person: Person; holders: HolderOption[] }) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <li>
      <details open={isOpen} onToggle={(event) => setIsOpen(event.currentTarget.open)}>
        <summary>
          <PersonName person={person} />
        </summary>
        {isOpen && <CareOf person={person} holders={holders} />}
      </details>
    </li>
  );
}

function CareOf({ person, holders }: { person: Person; holders: HolderOption[] }) {
  const loaded = useLoad(() => office.care(person.id), [person.id]);
  const [chosen, setChosen] = useState("");
  const [id, setId] = useState(newId);
  const saving = useSaving();
  const save = async (change: () => Promise<unknown>) => {
    if (!(await saving.run(change))) return;
    setId(newId());
    setChosen("");
    await loaded.reload();
  };
  return (
    <Panel title={t("office.care.title")} loaded={loaded} isEmpty={(list) => list.length === 0} empty={t("office.care.empty")}>
      {(list) => (
        <>
          <ul class="plain-list">
            {list.map((care) => (
              <li key={care.id} class="row">
                <span class="grow">
                  {care.display_name} · {momentText(care.starts_at)} – {care.ends_at ? momentText(care.ends_at) : t("office.care.open")}
                </span>
                {(care.ends_at === null || new Date(care.ends_at) > new Date()) && (
                  <button
                    type="button"
                    class="button small danger"
                    data-action="end-care"
                    aria-label={t("office.care.end.label", { name: care.display_name, patient: personText(person) })}
                    onClick={() => void save(() => office.endCare(care.id))}
                  >
                    {t("office.care.end")}
                  </button>
                )}
              </li>
            ))}
          </ul>
          <Form label={t("office.care.new")} onSubmit={() => void save(() => office.addCare(person.id, { id, ...holderOf(chosen) }))}>
            <Choice label={t("office.care.new")} value={chosen} options={holders} onChange={setChosen} />
            <button class="button" data-action="add-care" disabled={chosen === ""}>
              {t("office.add")}
            </button>
            <SaveState saving={saving} />
          </Form>
        </>
      )}
    </Panel>
  );
}

function NewPatientForm({ holders, onAdded }: { holders: HolderOption[]; onAdded: () => Promise<void> }) {
  const [name, setName] = useState("");
  const [birthDate, setBirthDate] = useState("");
  const [cpr, setCpr] = useState("");
  const [telephone, setTelephone] = useState("");
  const [isProtected, setIsProtected] = useState(false);
  const [chosen, setChosen] = useState("");
  const [id, setId] = useState(newId);
  const saving = useSaving();
  const add = async () => {
    const patient = {
      id,
      name,
      language: "da" as const,
      has_protected_address: isProtected,
      ...(birthDate ? { birth_date: birthDate } : {}),
      ...(cpr.trim() ? { cpr: cpr.trim() } : {}),
      ...(telephone.trim() ? { telephone: telephone.trim() } : {}),
      ...holderOf(chosen),
    };
    if (!(await saving.run(() => office.addPatient(patient)))) return;
    for (const clear of [setName, setBirthDate, setCpr, setTelephone]) clear("");
    setIsProtected(false);
    setId(newId());
    await onAdded();
  };
  return (
    <section class="panel" aria-labelledby="new-patient">
      <h2 id="new-patient">{t("office.patients.new")}</h2>
      <Form onSubmit={() => void add()}>
        <Field label={t("office.patients.name")} value={name} onChange={setName} maxLength={200} />
        <Field label={t("office.patients.birth_date")} type="date" value={birthDate} onChange={setBirthDate} required={cpr === ""} />
        <Field label={t("office.patients.cpr")} value={cpr} onChange={setCpr} maxLength={16} required={false} />
        <Field label={t("office.telephone")} type="tel" value={telephone} onChange={setTelephone} maxLength={24} required={false} />
        <Check label={t("office.patients.protected")} isOn={isProtected} onChange={setIsProtected} />
        <Choice label={t("office.care.new")} value={chosen} options={holders} onChange={setChosen} />
        <button class="button primary" data-action="add-patient" disabled={chosen === ""}>
          {t("office.add")}
        </button>
        <SaveState saving={saving} done={t("office.patients.added")} />
      </Form>
    </section>
  );
}
