import { describe, expect, test } from "vitest";
import type { TodaysItem, TodaysPlan } from "../patient/api";
import {
  beginAlone,
  beginSet,
  confirmSpace,
  countBySensor,
  countOne,
  endSet,
  exercisesDone,
  interrupt,
  minutesOf,
  passCheck,
  repetitionsDone,
  reportEffort,
  reportPain,
  returnToInstructions,
  skipItem,
  stopTraining,
  type Alone,
  type Change,
} from "../patient/alone";
import { DEFAULT_LIMITS } from "../shared/safety";

function item(index: number, code: string, sets: number, fields: Partial<TodaysItem> = {}): TodaysItem {
  return {
    index,
    code,
    name: { da: code, en: null },
    start_pose: "sitting",
    equipment: [],
    instructions: { da: [], en: [] },
    safety: { da: [], en: [] },
    figure: null,
    is_reviewed: false,
    is_measurable: true,
    side: "right",
    sets,
    repetitions: 3,
    tempo: null,
    target_low_deg: null,
    target_high_deg: null,
    load_kg: null,
    band: null,
    done_set_count: 0,
    ...fields,
  };
}

function planOf(...items: TodaysItem[]): TodaysPlan {
  return { id: "plan", number: 3, short_hash: "4f2a91c0", limits: DEFAULT_LIMITS, items };
}

function world() {
  let number = 0;
  return { newId: () => `id-${(number += 1)}`, now: () => "2026-11-22T10:00:00Z" };
}

/** Play changes one after the other; return the last state and all writes as "METHOD path-without-ids". */
function play(start: Alone, ...changes: ((state: Alone) => Change)[]): { state: Alone; writes: string[] } {
  let state = start;
  const writes: string[] = [];
  for (const change of changes) {
    const made = change(state);
    state = made.state;
    writes.push(...made.writes.map(({ method, path }) => `${method} ${path}`));
  }
  return { state, writes };
}

function begun(given = world(), ...items: TodaysItem[]): Alone {
  const begun = beginAlone("else", planOf(...(items.length ? items : [item(0, "a", 2), item(4, "b", 1)])), given);
  if (begun === null) throw new Error("no plan");
  return begun.state;
}

const toInstructions = (given: ReturnType<typeof world>, pain = 1) =>
  [(s: Alone) => passCheck(s, false), confirmSpace, (s: Alone) => reportPain(s, pain, given)] as const;

describe("the way through a plan", () => {
  test("every set has its question about pain, every exercise its sets, and the end asks for effort", () => {
    const given = world();
    const steps: string[] = [];
    const note = (change: (state: Alone) => Change) => (state: Alone) => {
      const made = change(state);
      steps.push(`${made.state.step} ${made.state.item}.${made.state.set}`);
      return made;
    };
    const set = [(s: Alone) => beginSet(s, given), countOne, (s: Alone) => endSet(s, "done", given), (s: Alone) => reportPain(s, 2, given)];
    const { state, writes } = play(
      begun(given),
      ...[...toInstructions(given), ...set, ...set, ...set, (s: Alone) => reportEffort(s, 4, given)].map(note),
    );
    expect(steps).toEqual([
      "space 0.1",
      "start_pain 0.1",
      "intro 0.1",
      "set 0.1",
      "set 0.1",
      "set_pain 0.1",
      "rest 0.2",
      "set 0.2",
      "set 0.2",
      "set_pain 0.2",
      "intro 1.1",
      "set 1.1",
      "set 1.1",
      "set_pain 1.1",
      "effort 1.1",
      "receipt 1.1",
    ]);
    expect(exercisesDone(state)).toEqual({ done: 2, all: 2 });
    expect(repetitionsDone(state)).toBe(3);
    expect(writes.map((write) => write.replace(/id-\d+/g, "*"))).toEqual([
      "PUT /api/patients/else/self-reports/*",
      ...Array(3)
        .fill([
          "PUT /api/training-sessions/*/sets/*",
          "POST /api/training-sessions/*/sets/*/end",
          "PUT /api/patients/else/self-reports/*",
        ])
        .flat(),
      "PUT /api/patients/else/self-reports/*",
      "POST /api/training-sessions/*/close",
    ]);
  });

  test("a write names the plan's item and version, the set and the moment", () => {
    const given = world();
    const state = play(begun(given), ...toInstructions(given), skipItem).state;
    const { writes } = beginSet(state, given);
    expect(writes[0]?.body).toEqual({
      exercise: "b",
      side: "right",
      target_low_deg: null,
      target_high_deg: null,
      target_repetitions: 3,
      plan_item: 4,
      set_number: 1,
      at: "2026-11-22T10:00:00Z",
    });
    const opening = beginAlone("else", planOf(item(0, "a", 1)), world())?.writes ?? [];
    expect(opening.map(({ method, path }) => `${method} ${path}`)).toEqual(["PUT /api/training-sessions/id-1"]);
    expect(opening[0]?.body).toMatchObject({ plan_version_id: "plan", patient_id: "else", live_session_id: null });
  });

  test("what was done earlier today is not asked for again; a plan that is all done may be trained once more", () => {
    expect(begun(world(), item(0, "a", 2, { done_set_count: 2 }), item(1, "b", 3, { done_set_count: 1 }))).toMatchObject({ item: 1, set: 2 });
    expect(begun(world(), item(0, "a", 2, { done_set_count: 2 }))).toMatchObject({ item: 0, set: 1, doneBefore: [0] });
    expect(beginAlone("else", planOf(), world())).toBeNull();
  });

  test("a step that does not belong to the screen changes nothing", () => {
    const given = world();
    const state = begun(given);
    for (const change of [confirmSpace, countOne, skipItem, (s: Alone) => beginSet(s, given), (s: Alone) => endSet(s, "done", given)]) {
      expect(change(state)).toEqual({ state, writes: [] });
    }
  });
});

describe("counting", () => {
  const given = world();
  const inSet = (usesSensors: boolean) =>
    play(begun(given), (s) => passCheck(s, usesSensors), confirmSpace, (s) => reportPain(s, 0, given), (s) => beginSet(s, given)).state;

  test("the hand counts where no sensor does, and the server is told what it counted", () => {
    const { state } = play(inSet(false), countOne, countOne);
    expect(endSet(state, "done", given).writes[0]?.body).toMatchObject({ reason: "done", counted_repetitions: 2 });
  });

  test("what sensors count is not told as counted by hand", () => {
    const { state } = play(inSet(true), (s) => countBySensor(s, 2));
    expect(state).toMatchObject({ counted: 2, bySensor: true });
    expect(endSet(state, "done", given).writes[0]?.body).toMatchObject({ counted_repetitions: null });
  });

  test("nobody counted is not zero", () => {
    expect(inSet(true).counted).toBeNull();
    expect(inSet(false).counted).toBe(0);
  });

  test("a hand that took over goes on counting when the sensor comes back", () => {
    const { state } = play(inSet(true), countOne, countOne, (s) => countBySensor(s, 7));
    expect(state).toMatchObject({ counted: 2, bySensor: false });
  });
});

describe("stopping", () => {
  const given = world();
  const inSet = () => play(begun(given), ...toInstructions(given), (s) => beginSet(s, given), countOne).state;

  test("JEG STOPPER ends safely from everywhere, with what was done", () => {
    const { state, writes } = stopTraining(inSet(), given);
    expect(state).toMatchObject({ step: "receipt", endReason: "stop" });
    expect(repetitionsDone(state)).toBe(1);
    expect(writes.map(({ body }) => (body as { reason: string }).reason)).toEqual(["stopped", "stop"]);
    expect(stopTraining(begun(given), given)).toMatchObject({ state: { step: "receipt" }, writes: [{ body: { reason: "stop" } }] });
    expect(stopTraining(state, given).writes).toEqual([]);
  });

  test("a limit ends the set at once; the way back begins with the instructions", () => {
    const { state, writes } = interrupt(inSet(), given);
    expect(state).toMatchObject({ step: "rest", setId: null });
    expect(writes[0]?.body).toMatchObject({ reason: "pain", counted_repetitions: 1 });
    expect(returnToInstructions(state).state.step).toBe("intro");
  });

  test("pain within a set is told with the set that ran", () => {
    const state = inSet();
    const { writes } = reportPain(state, 8, given);
    expect(writes[0]?.body).toMatchObject({ kind: "pain", value: 8, phase: "during", training_set_id: state.setId });
  });
});

test("the minutes of a plan are a round, believable number", () => {
  expect(minutesOf([item(0, "a", 3, { repetitions: 10, tempo: { up_s: 2, hold_s: 1, down_s: 3 } })])).toBe(6);
  expect(minutesOf([])).toBe(1);
});
