import { keyOr, type TextKey } from "../shared/i18n";
import { exerciseOf, phaseOf } from "../shared/codes";
import type { Freshness } from "../shared/freshness";

/** What one cue is chosen from. */
export interface CueInput {
  exercise: string | null;
  freshness: Freshness;
  phase: number;
  angleDeg: number;
  targetLowDeg: number | null;
  targetHighDeg: number | null;
  repetitions: number | null;
  targetRepetitions: number | null;
}

export type Zone = "before" | "in" | "past" | "unknown";

/** Say where an angle is, seen along the movement: before the target zone, in it, or past it. */
export function zoneOf(exercise: string | null, angleDeg: number, lowDeg: number | null, highDeg: number | null): Zone {
  if (Number.isNaN(angleDeg) || lowDeg === null || highDeg === null) return "unknown";
  if (angleDeg >= lowDeg && angleDeg <= highDeg) return "in";
  // The angle falls on the way out of some exercises: a bent knee has 90°, a straight one 0°.
  const falls = (lowDeg + highDeg) / 2 < (exerciseOf(exercise)?.neutralDeg ?? 0);
  return angleDeg > highDeg === falls ? "before" : "past";
}

/** Choose the one thing to say now. What cannot be measured comes first, then the movement. */
export function chooseCue(input: CueInput): TextKey {
  if (input.exercise === null) return "cue.no_exercise";
  if (input.freshness === "none") return "cue.none";
  if (input.freshness === "gone") return "cue.sensor";
  if (input.freshness === "delayed") return "cue.delayed";
  const zone = zoneOf(input.exercise, input.angleDeg, input.targetLowDeg, input.targetHighDeg);
  switch (phaseOf(input.phase)) {
    case "off":
      return "cue.none";
    case "waiting_still":
      return "cue.waiting_still";
    case "calibrating":
      return "cue.calibrating";
    case "paused_not_ready_pose":
      return "cue.start_pose";
    case "up":
    case "hold":
      if (zone === "past") return "cue.too_far";
      return zone === "in" ? "cue.hold" : forExercise("cue.up", input.exercise);
    case "down":
      return "cue.down";
    case "ready":
      if (input.targetRepetitions !== null && input.repetitions !== null && input.repetitions >= input.targetRepetitions) {
        return "cue.target_reached";
      }
      return forExercise("cue.ready", input.exercise);
  }
}

function forExercise(key: "cue.up" | "cue.ready", exercise: string): TextKey {
  return keyOr(`${key}.${exercise}`, key as TextKey);
}

export const CUE_SHOWN_MIN_MS = 1200;

/** Cues that claim something about this very moment: they go the moment it is over. */
const MOMENTARY: readonly TextKey[] = ["cue.hold", "cue.too_far"];

/** Keep a cue long enough to be read: a newer one waits until the shown one stood for 1.2 s. */
export class CueHolder {
  private shown: TextKey | null = null;
  private sinceMs = -Infinity;

  next(cue: TextKey, nowMs: number): TextKey {
    const mayGo = this.shown === null || MOMENTARY.includes(this.shown) || nowMs - this.sinceMs >= CUE_SHOWN_MIN_MS;
    if (cue !== this.shown && (mayGo || MOMENTARY.includes(cue))) {
      this.shown = cue;
      this.sinceMs = nowMs;
    }
    return this.shown ?? cue;
  }
}
