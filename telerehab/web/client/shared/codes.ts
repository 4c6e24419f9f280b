import { keyOr, t, type TextKey } from "./i18n";
import type { TrainingSessionInfo } from "./messages";

/** `analytics.live.Phase` by its number; a test compares. */
export const PHASES = ["off", "waiting_still", "calibrating", "ready", "up", "hold", "down", "paused_not_ready_pose"] as const;
export type Phase = (typeof PHASES)[number];

/** `analytics.live.Reason` by its number; a test compares. */
export const REASONS = ["none", "not_still", "data_missing", "clipped", "bias_too_large", "calibration_old"] as const;

export const EXERCISES = [
  "knee_extension_seated", "heel_slide", "straight_leg_raise", "mini_squat", "sit_to_stand", "step_up",
  "hip_abduction_standing", "hip_extension_standing", "bridge", "heel_raise", "marching", "single_leg_stance",
  "trunk_flexion", "trunk_rotation_seated", "shoulder_flexion", "shoulder_abduction", "shoulder_external_rotation_band",
  "row_band", "elbow_flexion", "hand_to_head",
] as const; // prettier-ignore

export function phaseOf(code: number): Phase {
  return PHASES[code] ?? "off";
}

export function reasonText(code: number): string {
  return t(keyOr(`reason.${REASONS[code] ?? "other"}`, "reason.other" as TextKey) as "reason.other");
}

export function phaseText(code: number): string {
  return t(`phase.${phaseOf(code)}`);
}

/** "Knee extension, right", or the code itself where the library has a newer exercise than this page. */
export function exerciseText(training: Pick<TrainingSessionInfo, "exercise" | "side">): string {
  const known = keyOr(`exercise.${training.exercise}`, "app.name" as TextKey);
  const exercise = known === "app.name" ? training.exercise : t(known as "exercise.bridge");
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
