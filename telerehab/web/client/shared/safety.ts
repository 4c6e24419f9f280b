/**
 * When training must stop: the rules of `telerehab/care/safety.py`, `sustained.py` and `stops.py`, run by the tablet on
 * the limits that it got as data, also without any link. Both are held to `tests/telerehab/care/safety_cases.json`.
 *
 * Pure: time is an argument, in milliseconds of a clock that never steps (`performance.now()`).
 */

/** The limits of a plan version, as they come from the server; null switches one off. */
export interface Limits {
  pain_max: number;
  pain_rise: number;
  heart_rate_max_per_min: number | null;
  heart_rate_min_per_min: number | null;
  heart_rate_hold_s: number;
  heart_rate_margin_per_min: number;
  spo2_min_percent: number | null;
  spo2_hold_s: number;
  spo2_margin_percent: number;
  is_fall_hint_on: boolean;
  stream_lost_s: number | null;
}

/** What holds where no plan says anything else. */
export const DEFAULT_LIMITS: Limits = {
  pain_max: 7,
  pain_rise: 3,
  heart_rate_max_per_min: null,
  heart_rate_min_per_min: null,
  heart_rate_hold_s: 10,
  heart_rate_margin_per_min: 5,
  spo2_min_percent: null,
  spo2_hold_s: 10,
  spo2_margin_percent: 2,
  is_fall_hint_on: true,
  stream_lost_s: 30,
};

export type Cause =
  | "heart_rate_high"
  | "heart_rate_low"
  | "spo2_low"
  | "pain_high"
  | "pain_rise"
  | "fall_hint"
  | "stop_pressed"
  | "stream_lost";

/** What is newly known at one instant; zero, NaN and impossible values are unknown, like what is left out. */
export interface Observation {
  heartRate?: number | null;
  spo2?: number | null;
  pain?: number | null;
  hasFallHint?: boolean;
  isStopPressed?: boolean;
  /** Streams of which something arrived. */
  heard?: readonly string[];
}

/** One episode has begun. */
export interface SafetyEvent {
  cause: Cause;
  onsetMs: number;
  atMs: number;
  value: number | null;
  limit: number | null;
  stream?: string;
}

interface Sustained {
  isRaised: boolean;
  forMs: number;
  againstMs: number;
  onsetMs: number | null;
  value: number | null;
  valueMs: number;
}

interface StreamWatch {
  name: string;
  heardMs: number;
  backMs: number | null;
  isLost: boolean;
}

/** All that the rules remember of one training session; never changed, always replaced. */
export interface Watch {
  atMs: number | null;
  heartRateHigh: Sustained;
  heartRateLow: Sustained;
  spo2Low: Sustained;
  startPain: number | null;
  painCause: Cause | null;
  fallHintMs: number | null;
  isStopPressed: boolean;
  streams: readonly StreamWatch[];
}

const HEART_RATE_KNOWN = [20, 250] as const;
const SPO2_KNOWN = [50, 100] as const;
const PAIN_HIGHEST = 10;
const APART_MAX_MS = 5_000;
const ODD_MS = 1_000;
const FORGET_MS = 30_000;
const CALM_MS = 30_000;
const FALL_HINT_SAME_MS = 60_000;
const STREAM_BACK_MS = 60_000;
const NOT_LISTENING_MS = 5_000;

const UNBROKEN: Sustained = { isRaised: false, forMs: 0, againstMs: 0, onsetMs: null, value: null, valueMs: 0 };

/** A training session begins, or somebody has confirmed (`confirmWatch`). */
export const NEW_WATCH: Watch = {
  atMs: null,
  heartRateHigh: UNBROKEN,
  heartRateLow: UNBROKEN,
  spo2Low: UNBROKEN,
  startPain: null,
  painCause: null,
  fallHintMs: null,
  isStopPressed: false,
  streams: [],
};

/** Take in what is known at one instant; return the episodes that begin with it. Call it about once a second. */
export function step(before: Watch, seen: Observation, limits: Limits, nowMs: number): [Watch, SafetyEvent[]] {
  const atMs = before.atMs === null ? nowMs : Math.max(nowMs, before.atMs);
  const events: SafetyEvent[] = [];
  const follow = (
    cause: Cause,
    was: Sustained,
    value: number | null,
    limit: number | null,
    margin: number,
    holdS: number,
  ) => {
    const now = take(was, value, limit, margin, holdS * 1_000, atMs);
    if (now.isRaised && !was.isRaised) events.push({ cause, onsetMs: now.onsetMs ?? atMs, atMs, value, limit });
    return now;
  };
  const heartRate = known(seen.heartRate, HEART_RATE_KNOWN);
  const spo2 = known(seen.spo2, SPO2_KNOWN);
  const { heart_rate_margin_per_min: margin, heart_rate_hold_s: holdS } = limits;
  const heartRateHigh = follow(
    "heart_rate_high",
    before.heartRateHigh,
    heartRate,
    limits.heart_rate_max_per_min,
    margin,
    holdS,
  );
  const heartRateLow = follow(
    "heart_rate_low",
    before.heartRateLow,
    heartRate,
    limits.heart_rate_min_per_min,
    -margin,
    holdS,
  );
  const spo2Low = follow(
    "spo2_low",
    before.spo2Low,
    spo2,
    limits.spo2_min_percent,
    -limits.spo2_margin_percent,
    limits.spo2_hold_s,
  );
  const pain = takePain(before, seen.pain, limits);
  if (pain.found) events.push({ ...pain.found, onsetMs: atMs, atMs });
  const isStopPressed = before.isStopPressed || seen.isStopPressed === true;
  if (isStopPressed && !before.isStopPressed) {
    events.push({ cause: "stop_pressed", onsetMs: atMs, atMs, value: null, limit: null });
  }
  const hasFallHint = seen.hasFallHint === true && limits.is_fall_hint_on;
  if (hasFallHint && (before.fallHintMs === null || atMs - before.fallHintMs >= FALL_HINT_SAME_MS)) {
    events.push({ cause: "fall_hint", onsetMs: atMs, atMs, value: null, limit: null });
  }
  const [streams, lost] = takeStreams(before, seen.heard ?? [], limits.stream_lost_s, atMs);
  events.push(...lost);
  const after: Watch = {
    atMs,
    heartRateHigh,
    heartRateLow,
    spo2Low,
    startPain: pain.startPain,
    painCause: pain.painCause,
    fallHintMs: hasFallHint ? atMs : before.fallHintMs,
    isStopPressed,
    streams,
  };
  return [after, events];
}

/** Return the watch after somebody let training go on: what breaks a limit from now on is new. */
export function confirmWatch(watch: Watch): Watch {
  return { ...NEW_WATCH, atMs: watch.atMs, startPain: watch.startPain, streams: watch.streams };
}

function known(value: number | null | undefined, [low, high]: readonly [number, number]): number | null {
  return typeof value === "number" && value >= low && value <= high ? value : null;
}

/** Follow one limit by one value; the margin is positive under a highest value, negative over a lowest one. */
function take(
  was: Sustained,
  value: number | null,
  limit: number | null,
  margin: number,
  holdMs: number,
  atMs: number,
): Sustained {
  if (limit === null) return UNBROKEN;
  if (value === null) return was;
  const speaksForChange = (each: number) => {
    const beyond = margin > 0 ? each - limit : limit - each;
    return was.isRaised ? beyond <= -Math.abs(margin) : beyond > 0;
  };
  const apartMs = atMs - was.valueMs;
  const before = was.value !== null && apartMs > FORGET_MS ? { ...UNBROKEN, isRaised: was.isRaised } : was;
  const isFor = speaksForChange(value);
  const agrees = before.value !== null && isFor === speaksForChange(before.value);
  const countedMs = agrees && apartMs <= APART_MAX_MS ? apartMs : 0;
  if (!isFor) {
    const againstMs = before.againstMs + countedMs;
    const isOver = before.forMs === 0 || againstMs >= ODD_MS;
    return { ...before, value, valueMs: atMs, againstMs, ...(isOver ? { forMs: 0, onsetMs: null } : {}) };
  }
  const forMs = before.forMs + countedMs;
  const now = { ...before, value, valueMs: atMs, forMs, againstMs: 0, onsetMs: before.onsetMs ?? atMs };
  if (before.isRaised) return forMs >= CALM_MS ? { ...UNBROKEN, value, valueMs: atMs } : now;
  return forMs >= holdMs ? { ...now, isRaised: true, forMs: 0 } : now;
}

interface PainTaken {
  startPain: number | null;
  painCause: Cause | null;
  found?: { cause: Cause; value: number; limit: number };
}

/** Judge a report by itself; a worse one within an episode is told, a milder one is not. */
function takePain(watch: Watch, pain: number | null | undefined, limits: Limits): PainTaken {
  const { painCause } = watch;
  if (typeof pain !== "number" || !(pain >= 0 && pain <= PAIN_HIGHEST)) return { startPain: watch.startPain, painCause };
  const startPain = watch.startPain ?? pain;
  const isHigh = pain >= limits.pain_max;
  if (!isHigh && pain - startPain < limits.pain_rise) return { startPain, painCause: null };
  const cause: Cause = isHigh ? "pain_high" : "pain_rise";
  if (painCause === "pain_high" || painCause === cause) return { startPain, painCause };
  const limit = isHigh ? limits.pain_max : startPain + limits.pain_rise;
  return { startPain, painCause: cause, found: { cause, value: pain, limit } };
}

/** Follow every stream from the first time that it is heard. */
function takeStreams(
  watch: Watch,
  heard: readonly string[],
  lostS: number | null,
  atMs: number,
): [StreamWatch[], SafetyEvent[]] {
  if (lostS === null) return [[], []];
  const hasListened = watch.atMs !== null && atMs - watch.atMs < NOT_LISTENING_MS;
  const events: SafetyEvent[] = [];
  const streams = watch.streams.map((stream): StreamWatch => {
    const { name } = stream;
    if (heard.includes(name)) {
      const backMs = stream.isLost ? (stream.backMs ?? atMs) : null;
      const isLost = backMs !== null && atMs - backMs < STREAM_BACK_MS;
      return { name, heardMs: atMs, backMs: isLost ? backMs : null, isLost };
    }
    const heardMs = hasListened ? stream.heardMs : atMs;
    const silentMs = atMs - heardMs;
    if (silentMs < lostS * 1_000) return { ...stream, heardMs };
    if (!stream.isLost) {
      const value = Math.floor(silentMs / 1_000);
      events.push({ cause: "stream_lost", onsetMs: heardMs, atMs, value, limit: lostS, stream: name });
    }
    return { name, heardMs, backMs: null, isLost: true };
  });
  const names = new Set(watch.streams.map((stream) => stream.name));
  const added = heard.filter((name) => !names.has(name)).map((name) => ({ name, heardMs: atMs, backMs: null, isLost: false }));
  return [[...streams, ...added], events];
}

// --- stops ------------------------------------------------------------------------------------------------------------

export type StopState = "training" | "stopped" | "confirmed" | "ended";
export type Confirmer = "patient" | "therapist";

/** Who must say that training may go on; null: this is told, and stops nothing. */
export const CONFIRMED_BY: Readonly<Record<Cause, Confirmer | null>> = {
  heart_rate_high: "therapist",
  heart_rate_low: "therapist",
  spo2_low: "therapist",
  pain_high: "therapist",
  pain_rise: "therapist",
  fall_hint: "therapist",
  stop_pressed: "patient",
  stream_lost: null,
};

/** How a training session stands, and what nobody has confirmed yet. */
export interface Stops {
  state: StopState;
  openCauses: readonly Cause[];
}

/** Return how a training session begins, given what is still open for the patient. */
export function opening(openCauses: readonly Cause[]): Stops {
  const causes = openCauses.filter((cause) => CONFIRMED_BY[cause] !== null);
  return { state: causes.length ? "stopped" : "training", openCauses: [...new Set(causes)] };
}

/** Return whose word is missing. */
export function needsConfirmationBy({ openCauses }: Stops): Confirmer | null {
  const wanted = openCauses.map((cause) => CONFIRMED_BY[cause]);
  return wanted.includes("therapist") ? "therapist" : wanted.includes("patient") ? "patient" : null;
}

/** Stop, for one more cause. */
export function stop(stops: Stops, cause: Cause): Stops {
  if (CONFIRMED_BY[cause] === null) return stops;
  const openCauses = [...new Set([...stops.openCauses, cause])];
  return { state: stops.state === "ended" ? "ended" : "stopped", openCauses };
}

/** Take off what this person may confirm; when nothing is left, training may be resumed. */
export function confirm(stops: Stops, by: Confirmer): Stops {
  const openCauses = stops.openCauses.filter((cause) => by === "patient" && CONFIRMED_BY[cause] !== "patient");
  return { state: stops.state === "stopped" && !openCauses.length ? "confirmed" : stops.state, openCauses };
}

/** Go on after a confirmation; null where there is no way back: from a stop, or after the end. */
export function resume(stops: Stops): Stops | null {
  return stops.state === "confirmed" || stops.state === "training" ? { ...stops, state: "training" } : null;
}

/** End the training session; always possible. */
export function end(stops: Stops): Stops {
  return { ...stops, state: "ended" };
}
