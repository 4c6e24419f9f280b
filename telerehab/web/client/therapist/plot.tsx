import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { t } from "../shared/i18n";
import { useRepaint } from "../shared/parts";
import { freshnessOf, HISTORY_S, type LiveValue } from "../shared/room";
import { SAMPLING_RATE_HZ } from "../shared/history";
import { angleRange } from "../shared/sparkline";

const DRAWN_RATE_HZ = 50;
const STEP = SAMPLING_RATE_HZ / DRAWN_RATE_HZ;
const POINTS = HISTORY_S * DRAWN_RATE_HZ;

/** The focused patient's joint angle over the last 30 s, the target zone behind it. */
export function AnglePlot(props: { value: () => LiveValue | null; low: number | null; high: number | null }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const zone = useRef<{ low: number | null; high: number | null; isFresh: boolean }>({ low: null, high: null, isFresh: false });
  const x = useRef(Array.from({ length: POINTS }, (_, index) => (index + 1 - POINTS) / DRAWN_RATE_HZ));
  const y = useRef<(number | null)[]>(new Array<number | null>(POINTS).fill(null));

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const made = new uPlot(options(element, zone.current), [x.current, y.current], element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize(sizeOf(element)));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, []);

  useRepaint((nowMs) => {
    const value = props.value();
    const samples = value?.history.samples;
    for (let index = 0; index < POINTS; index += 1) {
      const sample = samples?.[index * STEP] ?? NaN;
      y.current[index] = Number.isNaN(sample) ? null : sample;
    }
    zone.current.low = value?.entry.targetLowDeg ?? props.low;
    zone.current.high = value?.entry.targetHighDeg ?? props.high;
    zone.current.isFresh = freshnessOf(value, nowMs).freshness === "fresh";
    const [least, most] = angleRange(samples ?? new Float32Array(0), zone.current.low, zone.current.high);
    plot.current?.batch(() => {
      plot.current?.setScale("y", { min: least, max: most });
      plot.current?.setData([x.current, y.current], false);
      plot.current?.setScale("x", { min: -HISTORY_S, max: 0 });
    });
  });

  return <div ref={place} class="plot" role="img" aria-label={t("room.plot.label")} />;
}

function sizeOf(element: HTMLElement): { width: number; height: number } {
  return { width: Math.max(100, element.clientWidth), height: Math.max(80, element.clientHeight) };
}

function options(element: HTMLElement, zone: { low: number | null; high: number | null; isFresh: boolean }): uPlot.Options {
  const font = "13px system-ui, sans-serif";
  const axis = { stroke: "#3b4754", font, grid: { stroke: "#e3dfd5", width: 1 }, ticks: { show: false } };
  return {
    ...sizeOf(element),
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, auto: false, range: [-HISTORY_S, 0] }, y: { auto: false, range: (_, least, most) => [least, most] } },
    axes: [
      { ...axis, incrs: [5, 10, 15], values: (_, ticks) => ticks.map((tick) => `${tick < 0 ? "−" : ""}${Math.abs(tick)} s`), size: 28 },
      { ...axis, values: (_, ticks) => ticks.map((tick) => `${tick}°`), size: 46 },
    ],
    series: [{}, { stroke: () => (zone.isFresh ? "#0f3d5e" : "#8a929b"), width: 2.5, points: { show: false }, spanGaps: false }],
    hooks: {
      drawAxes: [
        (drawn) => {
          if (zone.low === null || zone.high === null) return;
          const top = drawn.valToPos(zone.high, "y", true);
          const bottom = drawn.valToPos(zone.low, "y", true);
          drawn.ctx.save();
          drawn.ctx.fillStyle = "rgba(143, 208, 163, 0.45)";
          drawn.ctx.fillRect(drawn.bbox.left, top, drawn.bbox.width, bottom - top);
          drawn.ctx.fillStyle = "#14532d";
          drawn.ctx.fillRect(drawn.bbox.left, top - 1, drawn.bbox.width, 2);
          drawn.ctx.fillRect(drawn.bbox.left, bottom - 1, drawn.bbox.width, 2);
          drawn.ctx.restore();
        },
      ],
    },
  };
}
