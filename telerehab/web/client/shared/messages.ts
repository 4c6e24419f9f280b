/** The JSON messages of `/ws`, as docs/signalling.md describes them. */

export type ParticipantRole = "therapist" | "patient" | "helper";
export type LinkQuality = "good" | "weak" | "lost";

export interface TrainingSessionInfo {
  id: string;
  exercise: string;
  side: string;
  target_low_deg: number | null;
  target_high_deg: number | null;
  target_repetitions: number | null;
}

export interface Participant {
  id: string;
  role: ParticipantRole;
  display_name: string;
  state: string;
  link: LinkQuality;
  publishes: { audio: boolean; video: boolean };
  patient_id: string | null;
  training_session: TrainingSessionInfo | null;
  help_since: string | null;
  paused_since: string | null;
}

export interface LiveSessionState {
  id: string;
  title: string;
  state: string;
  event_sequence: number;
  /** Another one: the media connections are gone for good and must be made again. */
  media_epoch?: string | number;
  /** This page's own participant id. */
  you: string;
  /** Only the therapist is told these two. */
  focus?: string | null;
  talk_to?: string | null;
  participants: Participant[];
  /** Slot name ("video-0", "audio-0") to the participant that is bound to it. */
  slots: Record<string, string | null>;
}

export interface LiveEvent {
  sequence: number;
  kind: string;
  at: string;
  data: Record<string, unknown>;
}

export interface Quality {
  width: number;
  fps: number;
  kbps: number;
}

/** Is the person in the live session, or on the way back into it? */
export function isPresent(participant: Participant): boolean {
  return ["admitted", "connecting", "connected", "degraded", "reconnecting"].includes(participant.state);
}

/** Was the person here, and has gone? */
export function hasLeft(participant: Participant): boolean {
  return ["left", "expired", "removed"].includes(participant.state);
}

export function isWaiting(participant: Participant): boolean {
  return participant.state === "waiting";
}
