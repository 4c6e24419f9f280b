import { trustLevel } from "../shared/codes";
import type { LiveEntry } from "../shared/frame";
import type { Freshness } from "../shared/freshness";
import { hasLeft, isPresent, isWaiting, type Participant } from "../shared/messages";

/** In the order of need: what stands first is looked at first. */
export const NEED_KINDS = [
  "help",
  "waiting",
  "link_lost",
  "left",
  "sensor_lost",
  "delayed",
  "not_stored",
  "paused",
  "link_weak",
  "trust_poor",
  "target_reached",
  "not_looked_at",
] as const;
export type NeedKind = (typeof NEED_KINDS)[number];

/** What is known of one patient at one instant. */
export interface PatientSnapshot {
  participant: Participant;
  entry: LiveEntry | null;
  freshness: Freshness;
  /** When the therapist last had this patient in focus, null = never. [ms, monotonic] */
  lookedAtMs: number | null;
}

export interface Need {
  participant: string;
  name: string;
  kind: NeedKind;
  /** Since when this page has seen the need. [ms, monotonic] */
  sinceMs: number;
  reason: number;
  count: number;
}

/** Nobody stays unseen for longer than this without being named. */
export const NOT_LOOKED_AT_MS = 180_000;
/** What comes and goes is named only when it stays; help and loss at once. */
const SETTLE_MS = 2000;
const SETTLES: readonly NeedKind[] = ["not_stored", "link_weak", "trust_poor"];

/** Return what a patient needs most, null when all is well. */
export function needOf(patient: PatientSnapshot, nowMs: number, startedMs: number): NeedKind | null {
  const { participant, entry, freshness } = patient;
  if (participant.help_since !== null) return "help";
  if (isWaiting(participant)) return "waiting";
  if (hasLeft(participant)) return "left";
  if (!isPresent(participant)) return null;
  if (participant.link === "lost") return "link_lost";
  if (participant.training_session && entry) {
    if (freshness === "gone" || entry.sensorLost) return "sensor_lost";
    if (freshness === "delayed") return "delayed";
    if (entry.notStored) return "not_stored";
  }
  if (participant.paused_since !== null) return "paused";
  if (participant.link === "weak") return "link_weak";
  if (participant.training_session && entry) {
    if (trustLevel(entry.trust) === "poor") return "trust_poor";
    const target = participant.training_session.target_repetitions;
    if (target !== null && entry.repetitions >= target) return "target_reached";
  }
  return nowMs - (patient.lookedAtMs ?? startedMs) > NOT_LOOKED_AT_MS ? "not_looked_at" : null;
}

/**
 * Keeps since when each patient has had a need, and sorts. Patients come in the order of their seats.
 *
 * That somebody has left is named until the therapist has looked; who was gone before the therapist came is not named.
 */
export class NeedsList {
  private readonly seenPresent = new Set<string>();
  private since = new Map<string, { kind: NeedKind; sinceMs: number }>();

  constructor(private readonly startedMs: number) {}

  update(patients: readonly PatientSnapshot[], nowMs: number): Need[] {
    const since = new Map<string, { kind: NeedKind; sinceMs: number }>();
    const needs: Need[] = [];
    for (const patient of patients) {
      const id = patient.participant.id;
      if (isPresent(patient.participant)) this.seenPresent.add(id);
      const kind = needOf(patient, nowMs, this.startedMs);
      if (kind === null || (kind === "left" && !this.seenPresent.has(id))) continue;
      const known = this.since.get(id);
      const sinceMs = known?.kind === kind ? known.sinceMs : nowMs;
      since.set(id, { kind, sinceMs });
      if (kind === "left" && (patient.lookedAtMs ?? 0) > sinceMs) this.seenPresent.delete(id);
      if (SETTLES.includes(kind) && nowMs - sinceMs < SETTLE_MS) continue;
      needs.push({
        participant: id,
        name: patient.participant.display_name,
        kind,
        sinceMs,
        reason: patient.entry?.reason ?? 0,
        count: patient.entry?.repetitions ?? 0,
      });
    }
    this.since = since;
    return needs.sort(
      (one, other) => NEED_KINDS.indexOf(one.kind) - NEED_KINDS.indexOf(other.kind) || one.sinceMs - other.sinceMs,
    );
  }
}

/** Keep the places of the tiles: who came first stays first, newcomers go to the end, whoever leaves leaves a gap closed only for the gone. */
export function keepPlaces(places: readonly string[], patients: readonly Participant[]): string[] {
  const present = new Set(patients.map((patient) => patient.id));
  const kept = places.filter((id) => present.has(id));
  return [...kept, ...patients.map((patient) => patient.id).filter((id) => !kept.includes(id))];
}
