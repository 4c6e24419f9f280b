import { useState } from "preact/hooks";
import { newId } from "../../../shared/api";
import { t } from "../../../shared/i18n";
import { care } from "../../api";
import { DayShape } from "../../caseload/strip";
import { dayOf, isoDay, locale, longDay, weekdayName } from "../../format";
import { useLoad, useSaving } from "../../load";
import { Choice, Field, Form } from "../../parts/fields";
import { Panel, SaveState } from "../../parts/panel";
import type { Adherence, DayAdherence } from "../../types";
import { dayText, pauseText } from "../../words";
import type { RecordProps } from "../view";

const KINDS = ["planned_rest", "illness", "holiday"] as const;
const LEGEND = ["done", "partly", "unmeasured", "missed", "excused", "extra", "open"] as const;

/** One month of days with what was planned and done, and the pauses in it. */
export function AdherenceCalendar({ patient, mayWrite }: RecordProps) {
  const now = new Date();
  const [month, setMonth] = useState(new Date(now.getFullYear(), now.getMonth(), 1));
  const first = isoDay(month);
  const stop = isoDay(new Date(month.getFullYear(), month.getMonth() + 1, 1));
  const loaded = useLoad(() => care.adherence(patient, first, stop), [patient, first]);
  const name = month.toLocaleDateString(locale(), { month: "long", year: "numeric" });
  const turn = (by: number) => setMonth(new Date(month.getFullYear(), month.getMonth() + by, 1));
  const turns = (
    <span class="row tight">
      <button class="button small" data-action="month-before" onClick={() => turn(-1)}>
        {t("calendar.before")}
      </button>
      <button class="button small" data-action="month-after" onClick={() => turn(1)}>
        {t("calendar.after")}
      </button>
    </span>
  );
  return (
    <Panel title={t("days.title", { month: name })} loaded={loaded} action={turns}>
      {(adherence) => (
        <>
          <p>{summary(adherence)}</p>
          <div class="table-box" tabIndex={0} role="group" aria-label={t("days.title", { month: name })}>
            <MonthTable days={adherence.days} />
          </div>
          <ul class="legend">
            {LEGEND.map((status) => (
              <li key={status} class={`day ${status}`}>
                <svg viewBox="0 0 12 14" aria-hidden="true">
                  <DayShape status={status} />
                </svg>
                {dayText(status)}
              </li>
            ))}
          </ul>
          <Pauses patient={patient} mayWrite={mayWrite} onChanged={() => void loaded.reload()} />
        </>
      )}
    </Panel>
  );
}

function summary(adherence: Adherence): string {
  const percent = adherence.completeness === null ? t("days.unknown") : t("days.completeness", { percent: Math.round(adherence.completeness * 100) });
  return adherence.missed_run > 0 ? `${percent} ${t("days.missed_run", { count: adherence.missed_run })}` : percent;
}

/** Return the days in weeks of seven from Monday; null where the month has no such day. */
export function weeksOf(days: readonly DayAdherence[]): (DayAdherence | null)[][] {
  const first = days[0];
  if (!first) return [];
  const before = (dayOf(first.day).getDay() + 6) % 7;
  const cells: (DayAdherence | null)[] = [...Array<null>(before).fill(null), ...days];
  while (cells.length % 7 !== 0) cells.push(null);
  return Array.from({ length: cells.length / 7 }, (_, week) => cells.slice(week * 7, week * 7 + 7));
}

function MonthTable({ days }: { days: readonly DayAdherence[] }) {
  return (
    <table class="month">
      <thead>
        <tr>
          {[1, 2, 3, 4, 5, 6, 7].map((weekday) => (
            <th key={weekday} scope="col">
              <span aria-hidden="true">{weekdayName(weekday, "short")}</span>
              <span class="hidden-text">{weekdayName(weekday)}</span>
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {weeksOf(days).map((week, index) => (
          <tr key={index}>
            {week.map((day, weekday) => (
              <td key={weekday} class={day ? `day ${day.status}` : ""}>
                {day && <DayCell day={day} />}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function DayCell({ day }: { day: DayAdherence }) {
  const sets = day.prescribed_set_count === 0 ? null : day.done_set_count === null ? t("days.sets.unmeasured", { planned: day.prescribed_set_count }) : t("days.sets", { done: day.done_set_count, planned: day.prescribed_set_count });
  const isOver = !["ahead", "open", "rest"].includes(day.status);
  return (
    <>
      <span class="day-head">
        {dayOf(day.day).getDate()}
        <svg viewBox="0 0 12 14" aria-hidden="true">
          <DayShape status={day.status} />
        </svg>
      </span>
      <span class="hidden-text">{dayText(day.status)}</span>
      {day.pause && <small>{pauseText(day.pause)}</small>}
      {sets && isOver && !day.pause && <small>{sets}</small>}
    </>
  );
}

function Pauses({ patient, mayWrite, onChanged }: { patient: string; mayWrite: boolean; onChanged: () => void }) {
  const loaded = useLoad(() => care.pauses(patient), [patient]);
  const [kind, setKind] = useState<(typeof KINDS)[number]>("illness");
  const [startsOn, setStartsOn] = useState(isoDay(new Date()));
  const [endsOn, setEndsOn] = useState("");
  const [id, setId] = useState(newId);
  const saving = useSaving();
  const after = async () => {
    await loaded.reload();
    onChanged();
  };
  const add = async () => {
    if (!(await saving.run(() => care.addPause(patient, { id, kind, starts_on: startsOn, ends_on: endsOn === "" ? null : endsOn })))) return;
    setId(newId());
    setEndsOn("");
    await after();
  };
  const withdraw = async (pause: string) => {
    if (await saving.run(() => care.withdrawPause(pause))) await after();
  };
  return (
    <Panel title={t("pause.title")} loaded={loaded} class="inner" isEmpty={(pauses) => pauses.length === 0} empty={t("pause.none")}>
      {(pauses) => (
        <>
          <ul class="plain-list">
            {pauses.map((pause) => (
              <li key={pause.id} class="row">
                <span>
                  {pauseText(pause.kind)}: {pause.ends_on === null ? t("pause.from", { day: longDay(pause.starts_on) }) : t("pause.range", { first: longDay(pause.starts_on), last: longDay(pause.ends_on) })}
                </span>
                {mayWrite && (
                  <button class="button small" data-action="pause-withdraw" onClick={() => void withdraw(pause.id)}>
                    {t("pause.withdraw")}
                  </button>
                )}
              </li>
            ))}
          </ul>
          {mayWrite && (
            <Form onSubmit={() => void add()} class="line" label={t("pause.add")}>
              <Choice label={t("pause.kind")} value={kind} options={KINDS.map((each) => [each, pauseText(each)] as const)} onChange={setKind} />
              <Field type="date" label={t("pause.starts_on")} value={startsOn} onChange={setStartsOn} />
              <Field type="date" label={t("pause.ends_on")} required={false} min={startsOn} value={endsOn} onChange={setEndsOn} />
              <button class="button" data-action="pause-add" aria-disabled={saving.isWorking}>
                {t("pause.add")}
              </button>
              <SaveState saving={saving} />
            </Form>
          )}
        </>
      )}
    </Panel>
  );
}
