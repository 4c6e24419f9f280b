import { useState } from "preact/hooks";
import { newId } from "../../shared/api";
import { t } from "../../shared/i18n";
import { care } from "../api";
import { isoDay, longDay, momentText, plainNumber } from "../format";
import { useLoad, useSaving } from "../load";
import { Choice, Field, Form, TextArea } from "../parts/fields";
import { Panel, SaveState } from "../parts/panel";
import type { Goal } from "../types";
import { goalStateText } from "../words";
import { wordsText } from "./plan/sentences";
import type { RecordProps } from "./view";

/** Goals in the patient's own words, and what the patient is asked. */
export function GoalsSection(props: RecordProps) {
  return (
    <div class="panels">
      <Goals {...props} />
      <Schedules {...props} />
      <Responses {...props} />
    </div>
  );
}

function Goals({ patient }: RecordProps) {
  const loaded = useLoad(() => care.goals(patient), [patient]);
  const [text, setText] = useState("");
  const [targetOn, setTargetOn] = useState("");
  const [id, setId] = useState(newId);
  const saving = useSaving();
  const add = async () => {
    if (!(await saving.run(() => care.addGoal(patient, { id, text: text.trim(), target_on: targetOn === "" ? null : targetOn })))) return;
    setId(newId());
    setText("");
    setTargetOn("");
    await loaded.reload();
  };
  const change = async (goal: Goal, state: string) => {
    const { text: words, target_on, measure, version } = goal;
    if (await saving.run(() => care.putGoal(goal.id, { text: words, target_on, measure, version, state }))) await loaded.reload();
  };
  return (
    <Panel title={t("goal.title")} loaded={loaded} isEmpty={(goals) => goals.length === 0} empty={t("goal.none")}>
      {(goals) => (
        <>
          <ul class="plain-list">
            {goals.map((goal) => (
              <li key={goal.id} class="row">
                <span>
                  <q>{goal.text ?? "–"}</q> · {goalStateText(goal.state)}
                  {goal.target_on && ` · ${t("goal.by", { day: longDay(goal.target_on) })}`}
                </span>
                {goal.state === "open" ? (
                  <>
                    <button class="button small" data-action="goal-met" aria-label={t("goal.meet.label", { goal: goal.text ?? "" })} onClick={() => void change(goal, "met")}>
                      {t("goal.meet")}
                    </button>
                    <button class="button small" data-action="goal-drop" aria-label={t("goal.drop.label", { goal: goal.text ?? "" })} onClick={() => void change(goal, "dropped")}>
                      {t("goal.drop")}
                    </button>
                  </>
                ) : (
                  <button class="button small" data-action="goal-reopen" aria-label={t("goal.reopen.label", { goal: goal.text ?? "" })} onClick={() => void change(goal, "open")}>
                    {t("goal.reopen")}
                  </button>
                )}
              </li>
            ))}
          </ul>
          <Form onSubmit={() => void add()} label={t("goal.add")}>
            <TextArea label={t("goal.text")} value={text} onChange={setText} name="goal" />
            <Field type="date" label={t("goal.target_on")} required={false} value={targetOn} onChange={setTargetOn} />
            <SaveState saving={saving} />
            <button class="button" data-action="goal-add" aria-disabled={saving.isWorking}>
              {t("goal.add")}
            </button>
          </Form>
        </>
      )}
    </Panel>
  );
}

function Schedules({ patient }: RecordProps) {
  const loaded = useLoad(() => care.schedules(patient), [patient]);
  const offered = useLoad(care.questionnaires, []);
  const [code, setCode] = useState("");
  const [firstOn, setFirstOn] = useState(isoDay(new Date()));
  const [every, setEvery] = useState("");
  const [until, setUntil] = useState("");
  const [id, setId] = useState(newId);
  const saving = useSaving();
  const all = offered.value ?? [];
  const chosen = all.find((each) => each.definition.code === code) ?? all[0];
  const titleOf = (wanted: string) => {
    const found = all.find((each) => each.definition.code === wanted);
    return found ? wordsText(found.definition.title) : wanted;
  };
  const add = async () => {
    if (!chosen) return;
    const body = { id, code: chosen.definition.code, questionnaire_id: chosen.id, first_on: firstOn, every_days: every === "" ? null : Number(every), until: until === "" ? null : until };
    if (!(await saving.run(() => care.addSchedule(patient, body)))) return;
    setId(newId());
    await loaded.reload();
  };
  const end = async (schedule: string) => {
    if (await saving.run(() => care.endSchedule(schedule))) await loaded.reload();
  };
  return (
    <Panel title={t("schedule.title")} loaded={loaded} isEmpty={(schedules) => schedules.length === 0} empty={t("schedule.none")}>
      {(schedules) => (
        <>
          <ul class="plain-list">
            {schedules.map((schedule) => (
              <li key={schedule.id} class="row">
                <span>
                  {titleOf(schedule.code)}: {schedule.every_days === null ? t("schedule.once", { day: longDay(schedule.first_on) }) : t("schedule.every", { day: longDay(schedule.first_on), count: schedule.every_days })}
                  {schedule.until && ` ${t("schedule.until", { day: longDay(schedule.until) })}`}
                </span>
                <button class="button small" data-action="schedule-end" aria-label={t("schedule.end.label", { title: titleOf(schedule.code) })} onClick={() => void end(schedule.id)}>
                  {t("schedule.end")}
                </button>
              </li>
            ))}
          </ul>
          <Form onSubmit={() => void add()} class="line" label={t("schedule.add")}>
            <Choice label={t("schedule.questionnaire")} value={chosen?.definition.code ?? ""} options={all.map(({ definition }) => [definition.code, wordsText(definition.title)] as const)} onChange={setCode} />
            <Field type="date" label={t("schedule.first_on")} value={firstOn} onChange={setFirstOn} />
            <Field class="narrow" type="number" min={1} max={366} required={false} label={t("schedule.every_days")} value={every} onChange={setEvery} />
            <Field type="date" label={t("schedule.until_on")} required={false} value={until} onChange={setUntil} />
            <button class="button" data-action="schedule-add" aria-disabled={saving.isWorking || !chosen}>
              {t("schedule.add")}
            </button>
            <SaveState saving={saving} />
          </Form>
        </>
      )}
    </Panel>
  );
}

function Responses({ patient }: RecordProps) {
  const loaded = useLoad(() => care.responses(patient), [patient]);
  return (
    <Panel title={t("response.title")} loaded={loaded} isEmpty={(responses) => responses.length === 0} empty={t("response.none")}>
      {(responses) =>
        responses.length > 0 && (
          <div class="table-box" tabIndex={0} role="group" aria-label={t("response.title")}>
            <table>
              <thead>
                <tr>
                  <th scope="col">{t("table.day")}</th>
                  <th scope="col">{t("schedule.questionnaire")}</th>
                  <th scope="col">{t("response.score")}</th>
                </tr>
              </thead>
              <tbody>
                {responses.map((response) => (
                  <tr key={response.id}>
                    <th scope="row">{momentText(response.answered_at)}</th>
                    <td>{wordsText(response.title)}</td>
                    <td>{response.scores.map((score) => `${wordsText(score.title)}: ${score.value === null ? t("response.no_score") : plainNumber(score.value)}`).join("; ")}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )
      }
    </Panel>
  );
}
