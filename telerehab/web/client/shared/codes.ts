import { t } from "./i18n";
import { EXERCISES, PHASES, REASONS } from "./library";
import type { TrainingSessionInfo } from "./messages";

export type Phase = (typeof PHASES)[number];
export type ExerciseCode = keyof typeof EXERCISES;

/** Those whose movement sensors can show: what the therapist is offered. */
export const EXERCISE_CODES = (Object.keys(EXERCISES) as ExerciseCode[]).filter((code) => EXERCISES[code].isMeasurable);

/** What the library knows of an exercise; null where the server has a newer one than this page. */
export function exerciseOf(code: string | null): { neutralDeg: number; targetDeg: readonly [number, number] } | null {
  return code !== null && code in EXERCISES ? EXERCISES[code as ExerciseCode] : null;
}

export function phaseOf(code: number): Phase {
  return PHASES[code] ?? "off";
}

export function reasonText(code: number): string {
  const reason = REASONS[code];
  return t(reason === undefined ? "reason.other" : `reason.${reason}`);
}

export function phaseText(code: number): string {
  return t(`phase.${phaseOf(code)}`);
}

/** "Seated knee extension, right", or the code itself where the server has a newer exercise than this page. */
export function exerciseText(training: Pick<TrainingSessionInfo, "exercise" | "side">): string {
  const isKnown = training.exercise in EXERCISES;
  const exercise = isKnown ? t(`exercise.${training.exercise as ExerciseCode}`) : training.exercise;
  if (training.side !== "left" && training.side !== "right") return exercise;
  return t("exercise.with_side", { exercise, side: t(`side.${training.side}`) });
}

export type TrustLevel = "good" | "fair" | "poor" | "unknown";

/** Return the word for a trust in percent; the shape that goes with it is `TrustShape`. */
export function trustLevel(percent: number | null): TrustLevel {
  if (percent === null) return "unknown";
  if (percent >= 80) return "good";
  return percent >= 50 ? "fair" : "poor";
}
