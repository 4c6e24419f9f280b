import { expect, test } from "vitest";
import { between, BONES, durationS, poseAt, stillPoses, type Figure, type Pose } from "../shared/figure_pose";

type Drawn = Figure & { is_turning: boolean };

const FILES = import.meta.glob<{ content: { figure: Drawn } }>("../../../care/data/exercises/*.json", { eager: true });
const FIGURES: [string, Drawn][] = Object.entries(FILES).map(([path, file]) => [path.split("/").at(-1) ?? "", file.content.figure]);

function lengthOf(pose: Pose, joint: string, parent: string): number {
  const [x, y] = pose[joint] ?? [NaN, NaN];
  const [fromX, fromY] = pose[parent] ?? [NaN, NaN];
  return Math.hypot(x - fromX, y - fromY);
}

test("there are figures to look at", () => {
  expect(FIGURES.length).toBeGreaterThanOrEqual(20);
});

test.each(FIGURES)("%s stands in its poses when the frames say so, and begins again without a jump", (_, figure) => {
  for (const frame of figure.frames.slice(0, -1)) {
    const pose = poseAt(figure, frame.at_s);
    for (const [joint, [x, y]] of Object.entries(figure.poses[frame.pose] as Pose)) {
      expect(pose[joint]?.[0]).toBeCloseTo(x, 6);
      expect(pose[joint]?.[1]).toBeCloseTo(y, 6);
    }
  }
  const [end, start] = [poseAt(figure, durationS(figure) - 1e-6), poseAt(figure, durationS(figure))];
  for (const joint of Object.keys(start)) expect(end[joint]?.[0]).toBeCloseTo(start[joint]?.[0] ?? NaN, 3);
});

test.each(FIGURES.filter(([, figure]) => !figure.is_turning))("%s keeps the length of its bones on the way", (_, figure) => {
  for (let seconds = 0; seconds < durationS(figure); seconds += 0.1) {
    const pose = poseAt(figure, seconds);
    for (const [joint, parent] of BONES) {
      const lengths = stillPoses(figure).map((still) => lengthOf(still, joint, parent));
      expect(lengthOf(pose, joint, parent)).toBeGreaterThanOrEqual(Math.min(...lengths) - 1e-6);
      expect(lengthOf(pose, joint, parent)).toBeLessThanOrEqual(Math.max(...lengths) + 1e-6);
    }
  }
});

test("a joint turns the shorter way, also across straight left", () => {
  const [from, to] = [170, -170].map((degrees): Pose => {
    const radians = (degrees * Math.PI) / 180;
    return { pelvis: [0, 0], neck: [Math.cos(radians), Math.sin(radians)] };
  }) as [Pose, Pose];
  expect(between(from, to, 0.5)["neck"]?.[0]).toBeCloseTo(-1, 6);
});
