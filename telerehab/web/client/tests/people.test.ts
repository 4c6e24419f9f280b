import { expect, test } from "vitest";
import { chooseCue, CueHolder, zoneOf, type CueInput } from "../patient/cue";
import type { LiveEntry } from "../shared/frame";
import type { Participant } from "../shared/messages";
import { keepPlaces, NeedsList, NOT_LOOKED_AT_MS, type PatientSnapshot } from "../therapist/needs";

const TRAINING = { id: "t", exercise: "knee_extension_seated", side: "right", target_low_deg: 0, target_high_deg: 15, target_repetitions: 10 };

function person(id: string, fields: Partial<Participant> = {}): Participant {
  return {
    id,
    role: "patient",
    display_name: id,
    state: "connected",
    link: "good",
    publishes: { audio: true, video: true },
    patient_id: id,
    training_session: TRAINING,
    help_since: null,
    paused_since: null,
    ...fields,
  };
}

function entry(fields: Partial<LiveEntry> = {}): LiveEntry {
  return {
    trainingSession: "t",
    ageMs: 100,
    phase: 4,
    reason: 0,
    repetitions: 3,
    trust: 95,
    completeness: 99,
    lastRomDeg: 80,
    heartRate: 80,
    notStored: false,
    sensorLost: false,
    partial: false,
    angleDeg: new Float32Array(10),
    targetLowDeg: 0,
    targetHighDeg: 15,
    ...fields,
  };
}

function seen(participant: Participant, fields: Partial<PatientSnapshot> = {}): PatientSnapshot {
  return { participant, entry: entry(), freshness: "fresh", lookedAtMs: 0, ...fields };
}

test("who asked for help stands first, then who waits, then broken links, then weak sensors", () => {
  const needs = new NeedsList(0);
  const patients = [
    seen(person("weak sensor"), { entry: entry({ trust: 20, reason: 2 }) }),
    seen(person("fine")),
    seen(person("gone"), { freshness: "gone" }),
    seen(person("lost"), { participant: person("lost", { link: "lost" }) }),
    seen(person("waits", { state: "waiting" })),
    seen(person("helpless", { help_since: "2026-11-21T20:00:00Z" })),
  ];
  needs.update(patients, 1000);
  const sorted = needs.update(patients, 4000).map((need) => `${need.participant}: ${need.kind}`);
  expect(sorted).toEqual([
    "helpless: help",
    "waits: waiting",
    "lost: link_lost",
    "gone: sensor_lost",
    "weak sensor: trust_poor",
  ]);
});

test("of two who need the same, the one who has waited longer stands first", () => {
  const needs = new NeedsList(0);
  const calls = { help_since: "2026-11-21T20:00:00Z" };
  needs.update([seen(person("a")), seen(person("b", calls))], 1000);
  const sorted = needs.update([seen(person("a", calls)), seen(person("b", calls))], 2000);
  expect(sorted.map((need) => [need.participant, need.sinceMs])).toEqual([["b", 1000], ["a", 2000]]);
});

test("a weak sensor is named only when it stays weak, a call for help at once", () => {
  const needs = new NeedsList(0);
  const weak = seen(person("a"), { entry: entry({ trust: 20 }) });
  expect(needs.update([weak], 1000)).toEqual([]);
  expect(needs.update([weak], 3000)).toHaveLength(1);
  expect(new NeedsList(0).update([seen(person("a", { help_since: "x" }))], 1000)).toHaveLength(1);
});

test("nobody stays unseen for ever", () => {
  const needs = new NeedsList(0);
  const now = NOT_LOOKED_AT_MS + 1;
  const list = needs.update([seen(person("seen"), { lookedAtMs: now - 5 }), seen(person("unseen"), { lookedAtMs: null })], now);
  expect(list.map((need) => need.participant)).toEqual(["unseen"]);
});

test("that somebody has left is named until the therapist has looked, and not when it was before", () => {
  const gone = seen(person("a", { state: "left", link: "lost" }), { freshness: "gone" });
  const needs = new NeedsList(0);
  expect(needs.update([gone], 1000)).toEqual([]);
  needs.update([seen(person("a"))], 2000);
  expect(needs.update([gone], 3000).map((need) => need.kind)).toEqual(["left"]);
  needs.update([{ ...gone, lookedAtMs: 4000 }], 4000);
  expect(needs.update([{ ...gone, lookedAtMs: 4000 }], 5000)).toEqual([]);
});

test("tiles keep their places when people come, go and call", () => {
  expect(keepPlaces(["b", "a"], [person("a"), person("b"), person("c")])).toEqual(["b", "a", "c"]);
  expect(keepPlaces(["b", "a", "c"], [person("c", { help_since: "x" }), person("a"), person("b")])).toEqual(["b", "a", "c"]);
});

const CUE: CueInput = {
  exercise: "knee_extension_seated",
  freshness: "fresh",
  phase: 4,
  angleDeg: 60,
  targetLowDeg: 0,
  targetHighDeg: 15,
  repetitions: 3,
  targetRepetitions: 10,
};

test("the zone is judged along the movement: a knee straightens to smaller angles, an elbow bends to larger ones", () => {
  expect(zoneOf("knee_extension_seated", 60, 0, 15)).toBe("before");
  expect(zoneOf("knee_extension_seated", 10, 0, 15)).toBe("in");
  expect(zoneOf("knee_extension_seated", -5, 0, 15)).toBe("past");
  expect(zoneOf("elbow_flexion", 60, 110, 140)).toBe("before");
  expect(zoneOf("elbow_flexion", 150, 110, 140)).toBe("past");
  expect(zoneOf("elbow_flexion", NaN, 110, 140)).toBe("unknown");
});

test("one cue fits the moment, and what cannot be measured comes first", () => {
  expect(chooseCue(CUE)).toBe("cue.up.knee_extension_seated");
  expect(chooseCue({ ...CUE, exercise: "heel_slide", targetLowDeg: 80, targetHighDeg: 110 })).toBe("cue.up");
  expect(chooseCue({ ...CUE, angleDeg: 8 })).toBe("cue.hold");
  expect(chooseCue({ ...CUE, phase: 6 })).toBe("cue.down");
  expect(chooseCue({ ...CUE, phase: 1 })).toBe("cue.waiting_still");
  expect(chooseCue({ ...CUE, phase: 3, repetitions: 10 })).toBe("cue.target_reached");
  expect(chooseCue({ ...CUE, freshness: "gone" })).toBe("cue.sensor");
  expect(chooseCue({ ...CUE, exercise: null })).toBe("cue.no_exercise");
});

test("a cue stands long enough to be read, but never claims the zone after it was left", () => {
  const holder = new CueHolder();
  expect(holder.next("cue.ready", 0)).toBe("cue.ready");
  expect(holder.next("cue.up", 500)).toBe("cue.ready");
  expect(holder.next("cue.up", 1200)).toBe("cue.up");
  expect(holder.next("cue.hold", 1300)).toBe("cue.hold");
  expect(holder.next("cue.down", 1400)).toBe("cue.down");
});
