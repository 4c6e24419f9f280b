import { decodeFrame, type LiveEntry } from "./frame";
import { ageNowMs, judgeAge, type Freshness } from "./freshness";
import { AngleHistory } from "./history";

export const HISTORY_S = 30;

/** The newest live values of one training session. Replaced by messages, read by painting. */
export interface LiveValue {
  entry: LiveEntry;
  receivedMs: number;
  history: AngleHistory;
  /** Was a sample ever seen? Decides between "not measured" and "no longer measured". */
  measured: boolean;
  largestRomDeg: number | null;
}

/** Take a live frame in; false when it is none that this page understands. */
export function storeFrame(values: Map<string, LiveValue>, buffer: ArrayBuffer, receivedMs: number): boolean {
  const frame = decodeFrame(buffer);
  if (!frame) return false;
  for (const entry of frame.entries) {
    const known = values.get(entry.trainingSession);
    const history = known?.history ?? new AngleHistory(HISTORY_S);
    history.append(frame.tick, entry.angleDeg);
    const measured = (known?.measured ?? false) || entry.ageMs !== null;
    const largestRomDeg = largest(known?.largestRomDeg ?? null, entry.lastRomDeg);
    values.set(entry.trainingSession, { entry, receivedMs, history, measured, largestRomDeg });
  }
  return true;
}

/** Return age and freshness of a value now. */
export function freshnessOf(value: LiveValue | null, nowMs: number): { ageMs: number | null; freshness: Freshness } {
  if (value === null) return { ageMs: null, freshness: "none" };
  const ageMs = ageNowMs(value.entry.ageMs, value.receivedMs, nowMs);
  return { ageMs, freshness: judgeAge(ageMs, value.measured) };
}

export function largest(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other;
  return Math.max(one, other);
}
