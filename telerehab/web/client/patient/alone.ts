/**
 * Training alone, as values: what is on the screen, what comes next, and what shall be told to the server.
 *
 * Pure: time and ids are handed in, and every step returns the writes that follow from it. The state is kept on the
 * browser after each step, so that a reload or a dead battery goes on where it was.
 */
import type { OutboxEntry } from "../shared/outbox";
import type { Limits } from "../shared/safety";
import type { TodaysItem, TodaysPlan } from "./api";

export type Step = "check" | "space" | "start_pain" | "intro" | "set" | "set_pain" | "rest" | "effort" | "receipt";
export type SetEnd = "done" | "stopped" | "pain";

export interface SetDone {
  item: number;
  set: number;
  counted: number | null;
  bySensor: boolean;
}

export interface Alone {
  version: 1;
  patientId: string;
  id: string;
  plan: { id: string; number: number; short_hash: string; limits: Limits };
  items: TodaysItem[];
  step: Step;
  /** Place in `items`, not the index in the plan. */
  item: number;
  /** Counts from 1 within the item. */
  set: number;
  setId: string | null;
  /** Repetitions of the set that runs; null = nobody has counted. */
  counted: number | null;
  bySensor: boolean;
  usesSensors: boolean;
  done: SetDone[];
  /** Sets that were done earlier today, by item. */
  doneBefore: number[];
  endReason: "done" | "stop" | null;
}

/** What a step needs from the world. */
export interface Given {
  newId(): string;
  /** RFC 3339. */
  now(): string;
}

export type Change = { state: Alone; writes: OutboxEntry[] };

/**
 * Return a training session at the device check; null where today's plan is empty.
 *
 * It is opened at once: only then are live values of the sensors seen. Without a set it counts as no training.
 */
export function beginAlone(patientId: string, plan: TodaysPlan, given: Given): Change | null {
  const first = firstUndone(plan.items, plan.items.map((item) => item.done_set_count));
  const start = first ?? { item: 0, set: 1 };
  if (plan.items.length === 0) return null;
  const state: Alone = {
    version: 1,
    patientId,
    id: given.newId(),
    plan: { id: plan.id, number: plan.number, short_hash: plan.short_hash, limits: plan.limits },
    items: plan.items,
    step: "check",
    item: start.item,
    set: start.set,
    setId: null,
    counted: null,
    bySensor: false,
    usesSensors: false,
    done: [],
    doneBefore: plan.items.map((item) => (first === null ? 0 : item.done_set_count)),
    endReason: null,
  };
  return { state, writes: [opening(state)] };
}

export function itemOf(state: Alone): TodaysItem {
  return state.items[state.item] as TodaysItem;
}

/** The device check is over, with or without sensors. */
export function passCheck(state: Alone, usesSensors: boolean): Change {
  return stay(state.step === "check" ? { ...state, usesSensors, step: "space" } : state);
}

/** There is room to move. */
export function confirmSpace(state: Alone): Change {
  return stay(state.step === "space" ? { ...state, step: "start_pain" } : state);
}

export function reportPain(state: Alone, value: number, given: Given): Change {
  const phase = state.step === "start_pain" ? "start" : state.step === "set_pain" ? "after_set" : "during";
  const report = selfReport(state, "pain", value, phase, given);
  if (state.step === "start_pain") return { state: { ...state, step: "intro" }, writes: [report] };
  if (state.step !== "set_pain") return { state, writes: [report] };
  return { state: { ...afterSet(state), setId: null }, writes: [report] };
}

export function beginSet(state: Alone, given: Given): Change {
  if (state.step !== "intro" && state.step !== "rest") return stay(state);
  const item = itemOf(state);
  const setId = given.newId();
  const body = {
    exercise: item.code,
    side: item.side,
    target_low_deg: item.target_low_deg,
    target_high_deg: item.target_high_deg,
    target_repetitions: item.repetitions,
    plan_item: item.index,
    set_number: state.set,
    at: given.now(),
  };
  const counted = state.usesSensors && item.is_measurable ? null : 0;
  return {
    state: { ...state, step: "set", setId, counted, bySensor: false },
    writes: [write(state, "PUT", `/api/training-sessions/${state.id}/sets/${setId}`, body)],
  };
}

/** One more, counted by hand. */
export function countOne(state: Alone): Change {
  return stay(state.step === "set" ? { ...state, counted: (state.counted ?? 0) + 1, bySensor: false } : state);
}

/** What the sensors have counted in this set; a hand that has begun to count goes on counting. */
export function countBySensor(state: Alone, repetitions: number): Change {
  const isByHand = !state.bySensor && (state.counted ?? 0) > 0;
  if (state.step !== "set" || isByHand || (state.bySensor && state.counted === repetitions)) return stay(state);
  return stay({ ...state, counted: repetitions, bySensor: true });
}

export function endSet(state: Alone, reason: SetEnd, given: Given): Change {
  if (state.step !== "set") return stay(state);
  const done = { item: state.item, set: state.set, counted: state.counted, bySensor: state.bySensor };
  return { state: { ...state, step: "set_pain", done: [...state.done, done] }, writes: setEnd(state, reason, given) };
}

/** Leave out what is left of this exercise. */
export function skipItem(state: Alone): Change {
  if (state.step !== "intro" && state.step !== "rest") return stay(state);
  return stay(nextItem(state));
}

export function reportEffort(state: Alone, value: number, given: Given): Change {
  if (state.step !== "effort") return stay(state);
  const writes = [selfReport(state, "effort", value, "end", given), closing(state, "done")];
  return { state: { ...state, step: "receipt", endReason: "done" }, writes };
}

/** Stop safely, from wherever: what was done is kept, and the training session ends. */
export function stopTraining(state: Alone, given: Given): Change {
  if (state.step === "receipt") return stay(state);
  const wasInSet = state.step === "set";
  const done = wasInSet ? [...state.done, { item: state.item, set: state.set, counted: state.counted, bySensor: state.bySensor }] : state.done;
  const writes = [...(wasInSet ? setEnd(state, "stopped", given) : []), closing(state, "stop")];
  return { state: { ...state, step: "receipt", endReason: "stop", done }, writes };
}

/** A limit was passed: the set ends now; after the confirmation the patient starts from the instructions. */
export function interrupt(state: Alone, given: Given): Change {
  if (state.step !== "set") return stay(state.step === "set_pain" ? afterSet(state) : state);
  const ended = endSet(state, "pain", given);
  return { state: { ...afterSet(ended.state), setId: null }, writes: ended.writes };
}

/** After a stop that somebody confirmed: back to the instructions, never straight into the movement. */
export function returnToInstructions(state: Alone): Change {
  return stay(state.step === "rest" ? { ...state, step: "intro" } : state);
}

// --- sums for the receipt ---

export function exercisesDone(state: Alone): { done: number; all: number } {
  const isDone = state.items.map((item, index) => setsDone(state, index) >= item.sets);
  return { done: isDone.filter(Boolean).length, all: state.items.length };
}

export function repetitionsDone(state: Alone): number {
  return state.done.reduce((sum, set) => sum + (set.counted ?? 0), 0);
}

/** Sets of an item that were done, today and now. */
export function setsDone(state: Alone, item: number): number {
  return (state.doneBefore[item] ?? 0) + state.done.filter((set) => set.item === item).length;
}

/** About how long a plan takes, for people: sets with their repetitions, and a minute between them. [min] */
export function minutesOf(items: readonly TodaysItem[]): number {
  const seconds = items.reduce((sum, item) => {
    const tempo = item.tempo;
    const repetitionS = tempo ? tempo.up_s + tempo.hold_s + tempo.down_s : 5;
    return sum + item.sets * (item.repetitions * Math.max(2, repetitionS) + 60);
  }, 0);
  return Math.max(1, Math.round(seconds / 60));
}

// --- inside ---

function stay(state: Alone): Change {
  return { state, writes: [] };
}

/** After the question about pain: rest before the next set, the next exercise, or the last question. */
function afterSet(state: Alone): Alone {
  if (state.set < itemOf(state).sets) return { ...state, step: "rest", set: state.set + 1 };
  return nextItem(state);
}

function nextItem(state: Alone): Alone {
  for (let item = state.item + 1; item < state.items.length; item += 1) {
    const before = state.doneBefore[item] ?? 0;
    if (before < (state.items[item]?.sets ?? 0)) return { ...state, step: "intro", item, set: before + 1 };
  }
  return { ...state, step: "effort" };
}

function firstUndone(items: readonly TodaysItem[], done: readonly number[]): { item: number; set: number } | null {
  const item = items.findIndex((candidate, index) => (done[index] ?? 0) < candidate.sets);
  return item < 0 ? null : { item, set: (done[item] ?? 0) + 1 };
}

function write(state: Alone, method: "PUT" | "POST", path: string, body: unknown): OutboxEntry {
  return { owner: state.patientId, group: state.id, method, path, body };
}

function opening(state: Alone): OutboxEntry {
  const item = itemOf(state);
  return write(state, "PUT", `/api/training-sessions/${state.id}`, {
    patient_id: state.patientId,
    exercise: item.code,
    side: item.side,
    live_session_id: null,
    target_low_deg: item.target_low_deg,
    target_high_deg: item.target_high_deg,
    target_repetitions: item.repetitions,
    plan_version_id: state.plan.id,
  });
}

function setEnd(state: Alone, reason: SetEnd, given: Given): OutboxEntry[] {
  const path = `/api/training-sessions/${state.id}/sets/${state.setId ?? ""}/end`;
  return [write(state, "POST", path, { reason, counted_repetitions: state.bySensor ? null : state.counted, at: given.now() })];
}

function closing(state: Alone, reason: "done" | "stop"): OutboxEntry {
  return write(state, "POST", `/api/training-sessions/${state.id}/close`, { reason });
}

function selfReport(state: Alone, kind: "pain" | "effort", value: number, phase: string, given: Given): OutboxEntry {
  return write(state, "PUT", `/api/patients/${state.patientId}/self-reports/${given.newId()}`, {
    training_session_id: state.id,
    training_set_id: phase === "start" || phase === "end" ? null : state.setId,
    kind,
    value,
    phase,
    at: given.now(),
  });
}
