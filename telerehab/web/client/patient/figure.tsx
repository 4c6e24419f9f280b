import { useRef } from "preact/hooks";
import { t } from "../shared/i18n";
import { useRepaint } from "../shared/parts";
import { freshnessOf, type LiveValue } from "../shared/room";
import { zoneOf } from "./cue";

/** How a joint angle looks from the side: where the fixed part lies, and which way the moving part turns. */
interface Pose {
  /** Direction of the fixed part seen from the joint. [° clockwise from right, as SVG turns] */
  fixed: number;
  /** Direction of the moving part at joint angle 0. [°] */
  zero: number;
  /** +1 where a growing angle turns clockwise on the screen, else -1. */
  turn: 1 | -1;
  chair: boolean;
}

const SEATED_KNEE: Pose = { fixed: 180, zero: 0, turn: 1, chair: true };
const ELBOW: Pose = { fixed: -90, zero: 90, turn: -1, chair: false };
const HINGE: Pose = { fixed: -90, zero: 90, turn: -1, chair: false };

function poseOf(exercise: string | null): Pose {
  if (exercise === "knee_extension_seated") return SEATED_KNEE;
  return exercise === "elbow_flexion" ? ELBOW : HINGE;
}

const JOINT = { x: 190, y: 165 };
const LIMB = 135;
const ZONE = 165;

/**
 * The patient's own movement: a limb from the side, and the zone it should reach.
 *
 * Drawn at most 25 times a second; colour, outline and a word tell that the zone is reached.
 */
export function Figure(props: { exercise: string | null; value: () => LiveValue | null; low: number | null; high: number | null }) {
  const limb = useRef<SVGGElement>(null);
  const root = useRef<SVGSVGElement>(null);
  const pose = poseOf(props.exercise);
  useRepaint((nowMs) => {
    const value = props.value();
    const { freshness } = freshnessOf(value, nowMs);
    const angle = freshness === "fresh" || freshness === "delayed" ? (value?.history.newest() ?? NaN) : NaN;
    const isKnown = !Number.isNaN(angle);
    root.current?.setAttribute("data-zone", freshness === "fresh" ? zoneOf(props.exercise, angle, props.low, props.high) : "unknown");
    root.current?.setAttribute("data-freshness", freshness);
    if (isKnown) limb.current?.setAttribute("transform", `rotate(${direction(pose, angle).toFixed(1)} ${JOINT.x} ${JOINT.y})`);
    limb.current?.setAttribute("visibility", isKnown ? "visible" : "hidden");
  });
  const hasZone = props.low !== null && props.high !== null;
  const middle = hasZone ? point(direction(pose, ((props.low ?? 0) + (props.high ?? 0)) / 2), ZONE * 0.78) : null;
  return (
    <svg ref={root} class="figure" viewBox="20 0 360 350" role="img" aria-label={t("patient.figure.label")} data-zone="unknown">
      {pose.chair && (
        <g class="chair">
          <path d="M62 196H176V212H62Z" />
          <path d="M62 70V330M168 212V330" />
        </g>
      )}
      {hasZone && <path class="zone" d={wedge(direction(pose, props.low ?? 0), direction(pose, props.high ?? 0))} />}
      <g class="body">
        {pose.chair ? (
          <>
            <path d="M86 165V62" />
            <circle cx="86" cy="34" r="24" />
            <path d={`M86 165H${JOINT.x}`} />
          </>
        ) : (
          <path d={`M${JOINT.x} ${JOINT.y}L${point(pose.fixed, LIMB).x} ${point(pose.fixed, LIMB).y}`} />
        )}
      </g>
      <g ref={limb} class="limb" visibility="hidden">
        <path d={`M${JOINT.x} ${JOINT.y}H${JOINT.x + LIMB}`} />
        {pose.chair && <path d={`M${JOINT.x + LIMB} ${JOINT.y}V${JOINT.y - 34}`} />}
      </g>
      <circle class="joint" cx={JOINT.x} cy={JOINT.y} r="11" />
      {middle && (
        <g class="zone-mark" transform={`translate(${middle.x} ${middle.y})`}>
          <circle r="22" />
          <path d="M-10 1-3 9 11-8" />
        </g>
      )}
    </svg>
  );
}

function direction(pose: Pose, angleDeg: number): number {
  return pose.zero + pose.turn * angleDeg;
}

function point(directionDeg: number, radius: number): { x: number; y: number } {
  const radians = (directionDeg * Math.PI) / 180;
  return { x: round(JOINT.x + radius * Math.cos(radians)), y: round(JOINT.y + radius * Math.sin(radians)) };
}

function wedge(fromDeg: number, toDeg: number): string {
  const [first, last] = fromDeg < toDeg ? [fromDeg, toDeg] : [toDeg, fromDeg];
  const start = point(first, ZONE);
  const stop = point(last, ZONE);
  return `M${JOINT.x} ${JOINT.y}L${start.x} ${start.y}A${ZONE} ${ZONE} 0 ${last - first > 180 ? 1 : 0} 1 ${stop.x} ${stop.y}Z`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
