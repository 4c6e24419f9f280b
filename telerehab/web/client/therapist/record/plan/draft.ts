import type { LibraryExercise, PlanContent, PlanItem, PlanTemplate, PlanVersion } from "../../types";
import { DEFAULT_LIMITS } from "./limits";

/** A plan version that is being written. It lives until it is saved or thrown away, also while other pages are shown. */
export interface Draft {
  basedOn: number;
  content: PlanContent;
  reason: string;
  template: string | null;
}

export const EVERY_DAY: readonly number[] = [1, 2, 3, 4, 5, 6, 7];

/** Begin from the plan as it is, or from nothing; a version holds from today on. */
export function beginDraft(plan: PlanVersion | null, today: string): Draft {
  return {
    basedOn: plan?.number ?? 0,
    content: { items: structuredClone(plan?.content.items ?? []), limits: { ...(plan?.content.limits ?? DEFAULT_LIMITS) }, valid_from: today },
    reason: "",
    template: plan?.template ?? null,
  };
}

/** A new item with a usual dose; the target comes from the library where sensors can measure it. */
export function newItem(exercise: LibraryExercise, side: PlanItem["side"]): PlanItem {
  const target = exercise.is_measurable ? exercise.default_target_deg : null;
  return {
    exercise: exercise.code,
    exercise_version: exercise.version,
    local_exercise_id: exercise.local_id,
    side,
    sets: 2,
    repetitions: 10,
    tempo: null,
    target_low_deg: target?.[0] ?? null,
    target_high_deg: target?.[1] ?? null,
    load_kg: null,
    band: null,
    weekdays: [...EVERY_DAY],
  };
}

/** Take a template's items; limits and first day stay. */
export function takeTemplate(draft: Draft, template: PlanTemplate): Draft {
  const items = template.items.map((item) => ({ ...item, tempo: item.tempo ?? null, local_exercise_id: item.local_exercise_id ?? null, load_kg: item.load_kg ?? null, band: item.band ?? null, target_low_deg: item.target_low_deg ?? null, target_high_deg: item.target_high_deg ?? null }));
  return { ...draft, content: { ...draft.content, items }, template: template.code };
}

export function changeItem(draft: Draft, index: number, change: Partial<PlanItem>): Draft {
  const items = draft.content.items.map((item, at) => (at === index ? { ...item, ...change } : item));
  return { ...draft, content: { ...draft.content, items } };
}

export function removeItem(draft: Draft, index: number): Draft {
  return { ...draft, content: { ...draft.content, items: draft.content.items.filter((_, at) => at !== index) } };
}

/** Move an item up (-1) or down (+1). */
export function moveItem(draft: Draft, index: number, by: -1 | 1): Draft {
  const items = [...draft.content.items];
  const [item] = items.splice(index, 1);
  if (item) items.splice(Math.max(0, index + by), 0, item);
  return { ...draft, content: { ...draft.content, items } };
}

/** Put a weekday in or out; they stand in their order. */
export function toggleWeekday(weekdays: readonly number[], weekday: number): number[] {
  const kept = weekdays.includes(weekday) ? weekdays.filter((each) => each !== weekday) : [...weekdays, weekday];
  return kept.sort((one, other) => one - other);
}
