/**
 * The moving figure of an exercise, from the same data and by the same rule as `telerehab/care/figures.py` describes:
 * the pelvis moves straight; every other joint keeps to its parent, its direction turned the shorter way and its length
 * changed evenly. A box of 1 by 1, x to the right, y up from the floor.
 */

export type Point = readonly [number, number];
export type Pose = Record<string, Point>;

export interface Figure {
  view: "side" | "front";
  poses: Record<string, Pose>;
  frames: { at_s: number; pose: string }[];
  props: { kind: string; points: Point[] }[];
  bands: { start: string; stop: string | Point }[];
}

/** Parent of each joint; parents stand before their children. */
export const BONES: readonly (readonly [string, string])[] = [
  ["neck", "pelvis"],
  ["head", "neck"],
  ["shoulder", "neck"],
  ["elbow", "shoulder"],
  ["hand", "elbow"],
  ["hip", "pelvis"],
  ["knee", "hip"],
  ["ankle", "knee"],
  ["toe", "ankle"],
  ["other_shoulder", "neck"],
  ["other_elbow", "other_shoulder"],
  ["other_hand", "other_elbow"],
  ["other_hip", "pelvis"],
  ["other_knee", "other_hip"],
  ["other_ankle", "other_knee"],
  ["other_toe", "other_ankle"],
];

/** How long one round takes. [s] */
export function durationS(figure: Figure): number {
  return figure.frames.at(-1)?.at_s ?? 0;
}

/** Return the pose at a time since the start; after the last frame it begins again. */
export function poseAt(figure: Figure, seconds: number): Pose {
  const round = durationS(figure);
  const atS = round > 0 ? seconds % round : 0;
  const next = figure.frames.findIndex((frame) => frame.at_s > atS);
  const before = figure.frames[next - 1] ?? figure.frames.at(-1);
  const after = figure.frames[next] ?? before;
  const from = figure.poses[before?.pose ?? ""] ?? {};
  const to = figure.poses[after?.pose ?? ""] ?? from;
  const spanS = (after?.at_s ?? 0) - (before?.at_s ?? 0);
  return between(from, to, spanS > 0 ? (atS - (before?.at_s ?? 0)) / spanS : 0);
}

/** The poses to show where nothing may move: each once, in the order of the exercise. */
export function stillPoses(figure: Figure): Pose[] {
  const names = [...new Set(figure.frames.map((frame) => frame.pose))];
  return names.map((name) => figure.poses[name] ?? {});
}

/** Return the pose at a share of the way from one to another. */
export function between(from: Pose, to: Pose, share: number): Pose {
  const mix = (one: number, other: number) => one + (other - one) * share;
  const pelvis: Point = [mix(from["pelvis"]?.[0] ?? 0, to["pelvis"]?.[0] ?? 0), mix(from["pelvis"]?.[1] ?? 0, to["pelvis"]?.[1] ?? 0)];
  const pose: Pose = { pelvis };
  for (const [joint, parent] of BONES) {
    const one = boneOf(from, joint, parent);
    const other = boneOf(to, joint, parent);
    // A bone without length has no direction: it takes the one that it grows into.
    const start = one.length === 0 ? other.radians : one.radians;
    const stop = other.length === 0 ? start : other.radians;
    const turn = Math.atan2(Math.sin(stop - start), Math.cos(stop - start));
    const radians = start + turn * share;
    const length = mix(one.length, other.length);
    const [x, y] = pose[parent] ?? pelvis;
    pose[joint] = [x + length * Math.cos(radians), y + length * Math.sin(radians)];
  }
  return pose;
}

function boneOf(pose: Pose, joint: string, parent: string): { length: number; radians: number } {
  const [x, y] = pose[joint] ?? [0, 0];
  const [fromX, fromY] = pose[parent] ?? [0, 0];
  return { length: Math.hypot(x - fromX, y - fromY), radians: Math.atan2(y - fromY, x - fromX) };
}
