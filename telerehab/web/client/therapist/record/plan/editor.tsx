import { useState } from "preact/hooks";
import { ApiError } from "../../../shared/api";
import { t } from "../../../shared/i18n";
import { care } from "../../api";
import { isoDay } from "../../format";
import { useLoad, useSaving } from "../../load";
import { Choice, Field, Form, TextArea } from "../../parts/fields";
import { SaveState } from "../../parts/panel";
import type { PlanItem, PlanVersion } from "../../types";
import { sideText } from "../../words";
import type { RecordProps } from "../view";
import { ChangesPanel } from "./changes";
import { beginDraft, changeItem, moveItem, newItem, removeItem, takeTemplate, type Draft } from "./draft";
import { ItemEditor } from "./item";
import { LimitFields } from "./limits";
import { wordsText } from "./sentences";

/** Unsaved plans by patient, so that looking at another page loses nothing. Never stored on the machine. */
const drafts = new Map<string, Draft>();

export function draftOf(patient: string): Draft | null {
  return drafts.get(patient) ?? null;
}

/** Write the next version. When somebody else was quicker, their changes are shown and the draft stays. */
export function PlanEditor({ patient, plan, onDone }: RecordProps & { plan: PlanVersion | null; onDone: () => void }) {
  const [draft, setDraft] = useState<Draft>(() => draftOf(patient) ?? beginDraft(plan, isoDay(new Date())));
  const [movedTo, setMovedTo] = useState<number | null>(null);
  const saving = useSaving();
  const change = (next: Draft) => {
    drafts.set(patient, next);
    setDraft(next);
    saving.clear();
  };
  const save = async () => {
    const { basedOn, content, reason, template } = draft;
    const isSaved = await saving.run(async () => {
      try {
        await care.writePlan(patient, { based_on: basedOn, content, reason: reason.trim(), template });
      } catch (error) {
        if (error instanceof ApiError && error.status === 409) setMovedTo((await care.plan(patient))?.number ?? null);
        throw error;
      }
    });
    if (!isSaved) return;
    drafts.delete(patient);
    onDone();
  };
  const accept = () => {
    if (movedTo === null) return;
    change({ ...draft, basedOn: movedTo });
    setMovedTo(null);
  };
  return (
    <section class="panel editor" aria-labelledby="editor-title">
      <div class="panel-head">
        <h2 id="editor-title">{t("plan.editor", { number: draft.basedOn + 1 })}</h2>
        <button
          class="button small"
          data-action="plan-discard"
          onClick={() => {
            drafts.delete(patient);
            onDone();
          }}
        >
          {t("plan.discard")}
        </button>
      </div>
      <AddItems draft={draft} onChange={change} />
      <Form onSubmit={() => void save()}>
        {draft.content.items.length === 0 && <p class="empty">{t("plan.editor.empty")}</p>}
        <ol class="items">
          {draft.content.items.map((item, index) => (
            <ItemEditor
              key={`${item.exercise} ${item.local_exercise_id} ${index}`}
              item={item}
              index={index}
              count={draft.content.items.length}
              onChange={(part) => change(changeItem(draft, index, part))}
              onRemove={() => change(removeItem(draft, index))}
              onMove={(by) => change(moveItem(draft, index, by))}
            />
          ))}
        </ol>
        <LimitFields limits={draft.content.limits} onChange={(limits) => change({ ...draft, content: { ...draft.content, limits } })} />
        <Field
          label={t("plan.field.valid_from")}
          type="date"
          name="valid_from"
          min={isoDay(new Date())}
          value={draft.content.valid_from}
          onChange={(valid_from) => change({ ...draft, content: { ...draft.content, valid_from } })}
        />
        <TextArea label={t("plan.reason.field")} name="reason" value={draft.reason} onChange={(reason) => change({ ...draft, reason })} />
        {movedTo !== null && (
          <div class="moved">
            <ChangesPanel patient={patient} from={Math.max(1, draft.basedOn)} to={movedTo} title={t("plan.moved", { number: movedTo })} />
            <button type="button" class="button" data-action="plan-accept" onClick={accept}>
              {t("plan.moved.accept", { number: movedTo })}
            </button>
          </div>
        )}
        <SaveState saving={saving} />
        <button class="button primary" data-action="plan-save" aria-disabled={saving.isWorking}>
          {t("plan.save", { number: draft.basedOn + 1 })}
        </button>
      </Form>
    </section>
  );
}

/** Exercises of the library and templates, to begin from. */
function AddItems({ draft, onChange }: { draft: Draft; onChange: (draft: Draft) => void }) {
  const [side, setSide] = useState<PlanItem["side"]>("right");
  const [code, setCode] = useState("");
  const [template, setTemplate] = useState("");
  const library = useLoad(care.exercises, []);
  const templates = useLoad(() => care.templates(side === "left" ? "left" : "right"), [side === "left"]);
  const exercises = library.value ?? [];
  const keyOf = (exercise: { code: string; local_id: string | null }) => exercise.local_id ?? exercise.code;
  const chosen = exercises.find((exercise) => keyOf(exercise) === code) ?? exercises[0];
  const chosenTemplate = (templates.value ?? []).find((each) => each.code === template) ?? templates.value?.[0];
  const [isSure, setIsSure] = useState(false);
  const take = () => {
    if (!chosenTemplate) return;
    if (draft.content.items.length > 0 && !isSure) {
      setIsSure(true);
      return;
    }
    setIsSure(false);
    onChange(takeTemplate(draft, chosenTemplate));
  };
  return (
    <div class="add-items">
      <div class="row">
        <Choice label={t("plan.field.side")} name="side" value={side} options={(["right", "left", "both"] as const).map((each) => [each, sideText(each)] as const)} onChange={setSide} />
        <Choice
          label={t("plan.library")}
          name="exercise"
          value={chosen ? keyOf(chosen) : ""}
          options={exercises.map((exercise) => [keyOf(exercise), wordsText(exercise.name)] as const)}
          onChange={setCode}
        />
        <button class="button" data-action="plan-add" aria-disabled={!chosen} onClick={() => chosen && onChange({ ...draft, content: { ...draft.content, items: [...draft.content.items, newItem(chosen, side)] } })}>
          {t("plan.add")}
        </button>
      </div>
      <div class="row">
        <Choice
          label={t("plan.template")}
          name="template"
          value={chosenTemplate?.code ?? ""}
          options={(templates.value ?? []).map((each) => [each.code, wordsText(each.title)] as const)}
          onChange={(next) => {
            setTemplate(next);
            setIsSure(false);
          }}
        />
        <button class={`button ${isSure ? "danger" : ""}`} data-action="plan-template" aria-disabled={!chosenTemplate} onClick={take}>
          {t(isSure ? "plan.template.sure" : "plan.template.use")}
        </button>
        {chosenTemplate && !chosenTemplate.is_reviewed && <p class="example">{t("library.not_reviewed")}</p>}
      </div>
      {(library.error !== null || templates.error !== null) && (
        <div class="problem row" role="alert">
          <p>{t("plan.library.failed")}</p>
          <button class="button small" data-action="retry" onClick={() => void Promise.all([library.reload(), templates.reload()])}>
            {t("panel.retry")}
          </button>
        </div>
      )}
    </div>
  );
}
