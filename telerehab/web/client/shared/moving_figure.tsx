import { useEffect, useRef, useState } from "preact/hooks";
import { BONES, poseAt, stillPoses, type Figure, type Point, type Pose } from "./figure_pose";
import { useRepaint } from "./parts";

const HEAD = 0.055;
const MARGIN = 0.04;

/** The exercise as a figure that moves; where motion is not wanted, as still pictures one after the other. */
export function MovingFigure({ figure, label }: { figure: Figure; label: string }) {
  return useReducedMotion() ? <Stills figure={figure} label={label} /> : <Moving figure={figure} label={label} />;
}

function Moving({ figure, label }: { figure: Figure; label: string }) {
  const body = useRef<SVGGElement>(null);
  const startMs = useRef<number | null>(null);
  useRepaint((nowMs) => {
    startMs.current ??= nowMs;
    const pose = poseAt(figure, (nowMs - startMs.current) / 1000);
    const parts = body.current?.children ?? [];
    shapesOf(figure, pose).forEach((shape, index) => {
      for (const [name, value] of Object.entries(shape.attributes)) parts[index]?.setAttribute(name, value);
    });
  });
  return (
    <svg class="moving-figure" viewBox={VIEW} role="img" aria-label={label} data-motion="moving">
      <Props figure={figure} />
      <Body figure={figure} pose={poseAt(figure, 0)} group={body} />
    </svg>
  );
}

function Stills({ figure, label }: { figure: Figure; label: string }) {
  return (
    <div class="still-figures" role="img" aria-label={label} data-motion="still">
      {stillPoses(figure).map((pose, index) => (
        <div class="still-figure">
          <span aria-hidden="true">{index + 1}</span>
          <svg class="moving-figure" viewBox={VIEW} aria-hidden="true" focusable="false">
            <Props figure={figure} />
            <Body figure={figure} pose={pose} />
          </svg>
        </div>
      ))}
    </div>
  );
}

const VIEW = `${-MARGIN} ${-MARGIN} ${1 + 2 * MARGIN} ${1 + 2 * MARGIN}`;

function Props({ figure }: { figure: Figure }) {
  return (
    <g class="things">
      {figure.props.map((prop) => (
        <path class={`thing ${prop.kind}`} d={line(prop.points)} />
      ))}
    </g>
  );
}

function Body(props: { figure: Figure; pose: Pose; group?: { current: SVGGElement | null } }) {
  return (
    <g ref={props.group ?? null} class="body">
      {shapesOf(props.figure, props.pose).map((shape) =>
        shape.kind === "circle" ? <circle {...shape.attributes} class={shape.class} /> : <path {...shape.attributes} class={shape.class} />,
      )}
    </g>
  );
}

interface Shape {
  kind: "path" | "circle";
  class: string;
  attributes: Record<string, string>;
}

/** What is drawn, from the back to the front; always the same number of shapes for one figure. */
function shapesOf(figure: Figure, pose: Pose): Shape[] {
  const bone = (joint: string, parent: string, kind: string): Shape => ({
    kind: "path",
    class: kind,
    attributes: { d: line([pose[parent] ?? [0, 0], pose[joint] ?? [0, 0]]) },
  });
  const far = BONES.filter(([joint]) => joint.startsWith("other_")).map(([joint, parent]) => bone(joint, parent, "far"));
  const near = BONES.filter(([joint]) => !joint.startsWith("other_") && joint !== "head" && joint !== "neck");
  const [x, y] = pose["head"] ?? [0, 0];
  return [
    ...far,
    bone("neck", "pelvis", "trunk"),
    { kind: "circle", class: "head", attributes: { cx: text(x), cy: text(1 - y), r: text(HEAD) } },
    ...near.map(([joint, parent]) => bone(joint, parent, "near")),
    ...figure.bands.map((band): Shape => {
      const stop: Point = typeof band.stop === "string" ? (pose[band.stop] ?? [0, 0]) : band.stop;
      return { kind: "path", class: "band", attributes: { d: line([pose[band.start] ?? [0, 0], stop]) } };
    }),
  ];
}

function line(points: readonly Point[]): string {
  return `M${points.map(([x, y]) => `${text(x)} ${text(1 - y)}`).join("L")}`;
}

function text(value: number): string {
  return value.toFixed(3);
}

function useReducedMotion(): boolean {
  const wish = "(prefers-reduced-motion: reduce)";
  const [isReduced, setIsReduced] = useState(() => matchMedia(wish).matches);
  useEffect(() => {
    const query = matchMedia(wish);
    const heed = () => setIsReduced(query.matches);
    query.addEventListener("change", heed);
    return () => query.removeEventListener("change", heed);
  }, []);
  return isReduced;
}
