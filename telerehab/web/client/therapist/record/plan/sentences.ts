import { exerciseText } from "../../../shared/codes";
import { language, t } from "../../../shared/i18n";
import { longDay, plainNumber, weekdayName } from "../../format";
import type { LibraryExercise, PlanChange, PlanItem, Words } from "../../types";
import { bandText, limitText, planFieldText, sideText } from "../../words";

/** Content in the reader's language; there is always Danish. */
export function wordsText(words: Words): string {
  return language.value === "en" ? (words.en ?? words.da) : words.da;
}

/** The name of an item's exercise: the organisation's own where it has one. */
export function itemName(item: Pick<PlanItem, "exercise" | "side" | "local_exercise_id">, library: readonly LibraryExercise[] = []): string {
  const own = item.local_exercise_id && library.find((exercise) => exercise.local_id === item.local_exercise_id);
  const name = own ? wordsText(own.name) : exerciseText({ exercise: item.exercise, side: "" });
  return t("exercise.with_side", { exercise: name, side: sideText(item.side) });
}

export function weekdaysText(weekdays: readonly number[]): string {
  if (weekdays.length === 7) return t("plan.every_day");
  return weekdays.map((weekday) => weekdayName(weekday, "short")).join(", ");
}

export function targetText(low: number | null, high: number | null): string {
  return low === null || high === null ? t("plan.no_target") : t("plan.target", { low: plainNumber(low), high: plainNumber(high) });
}

export function tempoText(tempo: PlanItem["tempo"]): string {
  if (tempo === null) return t("plan.no_tempo");
  return t("plan.tempo", { up: plainNumber(tempo.up_s), hold: plainNumber(tempo.hold_s), down: plainNumber(tempo.down_s) });
}

export function loadText(item: Pick<PlanItem, "load_kg" | "band">): string {
  const parts = [item.load_kg === null ? null : t("plan.kg", { kg: plainNumber(item.load_kg) }), item.band === null ? null : bandText(item.band)];
  return parts.filter((part) => part !== null).join(", ") || t("plan.no_load");
}

/** "Sit to stand, both: repetitions from 8 to 10". One difference, one sentence. */
export function changeText(change: PlanChange): string {
  if (change.of === "item") {
    const item = t("exercise.with_side", { exercise: exerciseText({ exercise: change.exercise ?? "", side: "" }), side: sideText(change.side ?? "") });
    if (change.kind === "added") return t("plan.change.added", { item });
    if (change.kind === "removed") return t("plan.change.removed", { item });
    return t("plan.change.item", { item, field: planFieldText(change.field ?? ""), ...beforeAfter(change) });
  }
  if (change.kind === "reordered") return t("plan.change.reordered");
  const field = change.of === "limits" ? limitText(change.field ?? "") : planFieldText(change.field ?? "");
  return t("plan.change.field", { field, ...beforeAfter(change) });
}

function beforeAfter(change: PlanChange): { before: string; after: string } {
  return { before: valueText(change.field, change.before), after: valueText(change.field, change.after) };
}

function valueText(field: string | null, value: unknown): string {
  if (value === null || value === undefined) return t("plan.change.nothing");
  if (field === "weekdays") return weekdaysText(value as number[]);
  if (field === "tempo") return tempoText(value as PlanItem["tempo"]);
  if (field === "side") return sideText(String(value));
  if (field === "band") return bandText(String(value));
  if (field === "valid_from") return longDay(String(value));
  if (typeof value === "boolean") return t(value ? "value.on" : "value.off");
  return typeof value === "number" ? plainNumber(value) : String(value);
}
