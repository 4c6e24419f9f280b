/**
 * How old a shown value is, and what may be shown of it.
 *
 * Age = the frame's own age at sending + this page's monotonic time since receipt. Two wall clocks are never compared.
 */

export const DELAYED_MS = 2000;
export const GONE_MS = 5000;

/** "none": never measured; "fresh"; "delayed": show it grey and say so; "gone": show no number. */
export type Freshness = "none" | "fresh" | "delayed" | "gone";

/** Return the age of a value now [ms], null when nobody knows it. */
export function ageNowMs(ageAtSendingMs: number | null, receivedMs: number, nowMs: number): number | null {
  return ageAtSendingMs === null ? null : ageAtSendingMs + Math.max(0, nowMs - receivedMs);
}

/** Judge an age; `measured` tells whether any sample was ever seen. */
export function judgeAge(ageMs: number | null, measured: boolean): Freshness {
  if (ageMs === null) return measured ? "gone" : "none";
  if (ageMs > GONE_MS) return "gone";
  return ageMs > DELAYED_MS ? "delayed" : "fresh";
}
