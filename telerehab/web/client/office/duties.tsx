import { useState } from "preact/hooks";
import { newId } from "../shared/api";
import { t } from "../shared/i18n";
import { momentText, weekdayName } from "../therapist/format";
import { useLoad, useSaving } from "../therapist/load";
import { Choice, Field, Form } from "../therapist/parts/fields";
import { Panel, SaveState } from "../therapist/parts/panel";
import { office } from "./api";

const WEEKDAYS = ["1", "2", "3", "4", "5", "6", "7"] as const;
const MINUTES_A_DAY = 1440;

/** "08:00" as minutes of the day; midnight as an end is the whole day. */
export function minutesOf(time: string): number {
  const [hours = "0", minutes = "0"] = time.split(":");
  return Number(hours) * 60 + Number(minutes);
}

export function clockText(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}

/** Who answers help calls when; hours that nobody covers are named. */
export function DutiesView() {
  const now = useLoad(office.onDuty, [], 60_000);
  const loaded = useLoad(office.duties, []);
  const saving = useSaving();
  const changed = async (change: () => Promise<unknown>) => {
    if (!(await saving.run(change))) return false;
    await Promise.all([loaded.reload(), now.reload()]);
    return true;
  };
  return (
    <div class="panels">
      <Panel title={t("office.duties.now")} loaded={now}>
        {(duty) => (
          <>
            <p>
              <strong>{duty.on_duty.length > 0 ? duty.on_duty.join(", ") : t("office.duties.nobody")}</strong>
            </p>
            {duty.next && duty.next_at && <p>{t("office.duties.next", { name: duty.next, time: momentText(duty.next_at) })}</p>}
            {duty.gaps.length > 0 && (
              <details>
                <summary>{t("office.duties.gaps", { count: duty.gaps.length })}</summary>
                <ul>
                  {duty.gaps.map((gap) => (
                    <li key={gap.start}>
                      {momentText(gap.start)} – {momentText(gap.stop)}
                    </li>
                  ))}
                </ul>
              </details>
            )}
            <p class="soft">{t("office.duties.outside")}</p>
          </>
        )}
      </Panel>
      <Panel title={t("office.duties.list")} loaded={loaded} isEmpty={(list) => list.length === 0} empty={t("office.duties.empty")}>
        {(list) =>
          list.length > 0 && (
            <table>
              <thead>
                <tr>
                  <th scope="col">{t("office.duties.day")}</th>
                  <th scope="col">{t("office.duties.hours")}</th>
                  <th scope="col">{t("office.duties.who")}</th>
                  <th scope="col">{t("office.duties.line")}</th>
                  <th scope="col">{t("office.telephone")}</th>
                  <td />
                </tr>
              </thead>
              <tbody>
                {list.map((duty) => (
                  <tr key={duty.id}>
                    <td>{weekdayName(duty.weekday)}</td>
                    <td>
                      {clockText(duty.from_minute)}–{clockText(duty.to_minute)}
                    </td>
                    <th scope="row">{duty.name}</th>
                    <td>{duty.line + 1}</td>
                    <td>{duty.telephone ?? "–"}</td>
                    <td>
                      <button
                        type="button"
                        class="button small danger"
                        data-action="end-duty"
                        aria-label={t("office.duties.end.label", { name: duty.name, day: weekdayName(duty.weekday) })}
                        onClick={() => void changed(() => office.endDuty(duty.id))}
                      >
                        {t("office.duties.end")}
                      </button>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Panel>
      <NewDuty changed={changed} />
      <SaveState saving={saving} />
    </div>
  );
}

function NewDuty({ changed }: { changed: (change: () => Promise<unknown>) => Promise<boolean> }) {
  const staff = useLoad(office.staff, []);
  const [account, setAccount] = useState("");
  const [weekday, setWeekday] = useState<(typeof WEEKDAYS)[number]>("1");
  const [from, setFrom] = useState("08:00");
  const [to, setTo] = useState("16:00");
  const [line, setLine] = useState("1");
  const [telephone, setTelephone] = useState("");
  const [id, setId] = useState(newId);
  const therapists = (staff.value ?? []).filter((each) => each.role === "therapist" && !each.is_disabled);
  const add = async () => {
    const duty = {
      id,
      account_id: account,
      weekday: Number(weekday),
      from_minute: minutesOf(from),
      to_minute: minutesOf(to) || MINUTES_A_DAY,
      line: Number(line) - 1,
      telephone: telephone.trim() || null,
    };
    if (await changed(() => office.addDuty(duty))) setId(newId());
  };
  return (
    <section class="panel" aria-labelledby="new-duty">
      <h2 id="new-duty">{t("office.duties.new")}</h2>
      <Form onSubmit={() => void add()}>
        <Choice
          label={t("office.duties.who")}
          value={account}
          options={[["", t("office.choose")] as const, ...therapists.map((each) => [each.id, each.display_name] as const)]}
          onChange={setAccount}
        />
        <Choice label={t("office.duties.day")} value={weekday} options={WEEKDAYS.map((day) => [day, weekdayName(Number(day))] as const)} onChange={setWeekday} />
        <Field label={t("office.from")} type="time" value={from} onChange={setFrom} />
        <Field label={t("office.to")} type="time" value={to} onChange={setTo} />
        <Field label={t("office.duties.line")} type="number" min={1} max={9} value={line} onChange={setLine} hint={t("office.duties.line.hint")} />
        <Field label={t("office.telephone")} type="tel" required={false} value={telephone} onChange={setTelephone} maxLength={30} />
        <button class="button primary" data-action="add-duty" disabled={account === ""}>
          {t("office.add")}
        </button>
      </Form>
    </section>
  );
}
