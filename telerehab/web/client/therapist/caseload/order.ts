import { addDays, matches } from "../format";
import type { CaseloadPatient, DaySummary } from "../types";

export type Filter = "needs" | "today" | "all";
export const PAGE_SIZE = 25;

const NEEDS_NOBODY = ["fine", "seen", "good_news"];
const PLANNED_OR_TRAINED = ["open", "done", "partly", "unmeasured", "missed", "extra"];

export function needsMe(patient: CaseloadPatient): boolean {
  return !NEEDS_NOBODY.includes(patient.rank_reason);
}

/** The last days, the newest last; none while nothing has been counted. */
export function daysOf({ adherence }: CaseloadPatient): DaySummary[] {
  if (adherence === null) return [];
  const { last_day, statuses } = adherence;
  return statuses.map((status, index) => ({ day: addDays(last_day, index + 1 - statuses.length), status }));
}

/** Something was planned or done on the day. */
export function isOnToday(patient: CaseloadPatient, today: string): boolean {
  return daysOf(patient).some((day) => day.day === today && PLANNED_OR_TRAINED.includes(day.status));
}

export function choose(patients: readonly CaseloadPatient[], filter: Filter, typed: string, today: string): CaseloadPatient[] {
  return patients.filter((patient) => {
    if (filter === "needs" && !needsMe(patient)) return false;
    if (filter === "today" && !isOnToday(patient, today)) return false;
    return matches(patient, typed);
  });
}

/**
 * Return new data in the places of before, so that no row moves away under a finger; new patients come last.
 *
 * Those who are gone leave their place.
 */
export function keepOrder(before: readonly string[], patients: readonly CaseloadPatient[]): CaseloadPatient[] {
  const places = new Map(before.map((id, place) => [id, place]));
  return patients
    .map((patient, index) => ({ patient, place: places.get(patient.id) ?? before.length + index }))
    .sort((one, other) => one.place - other.place)
    .map(({ patient }) => patient);
}

export function isSameOrder(one: readonly { id: string }[], other: readonly { id: string }[]): boolean {
  return one.length === other.length && one.every((each, index) => each.id === other[index]?.id);
}

/** Return the page that is shown and how many there are; a page past the end is the last one. */
export function pageOf<V>(all: readonly V[], page: number): { shown: V[]; page: number; pages: number } {
  const pages = Math.max(1, Math.ceil(all.length / PAGE_SIZE));
  const kept = Math.min(Math.max(0, page), pages - 1);
  return { shown: all.slice(kept * PAGE_SIZE, (kept + 1) * PAGE_SIZE), page: kept, pages };
}

/** What the days of a strip come to. Days to come and today while it is open count nowhere. */
export function countDays(days: readonly { status: string }[]): { trained: number; planned: number; missed: number; paused: number; unmeasured: number } {
  const count = (...statuses: string[]) => days.filter((day) => statuses.includes(day.status)).length;
  return {
    trained: count("done", "partly", "unmeasured"),
    planned: count("done", "partly", "unmeasured", "missed"),
    missed: count("missed"),
    paused: count("excused"),
    unmeasured: count("unmeasured"),
  };
}
