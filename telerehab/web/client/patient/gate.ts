/**
 * The gate before exercise: closed by a stop, opened only by the confirmation that the server asks for.
 *
 * Pure. It outlives training session, page and link: while nobody has confirmed, it stays closed, also offline.
 */
import { confirm, needsConfirmationBy, opening, stop, type Cause, type Confirmer, type Stops } from "../shared/safety";
import type { StopRead } from "./api";

export interface Gate {
  version: 1;
  stops: Stops;
  /** The value and limit that closed it, as found here; null where the server closed it. */
  value: number | null;
  /** The server has said that training is stopped; only then its silence about a stop is a confirmation. */
  isKnownThere: boolean;
  /** What the patient may confirm. */
  alertIds: readonly string[];
}

/** Close the gate, or close it for one more cause; null where the cause stops nothing. */
export function closeGate(gate: Gate | null, cause: Cause, value: number | null): Gate | null {
  const stops = gate ? stop(gate.stops, cause) : opening([cause]);
  if (stops.openCauses.length === 0) return gate;
  return { version: 1, stops, value: gate?.value ?? value, isKnownThere: gate?.isKnownThere ?? false, alertIds: gate?.alertIds ?? [] };
}

/**
 * Take in what the server says of stops.
 *
 * `isAllDelivered`: everything that was reported here had reached the server before it was asked. Without that, "not
 * stopped" means nothing.
 */
export function heedServer(gate: Gate | null, said: StopRead, isAllDelivered: boolean): Gate | null {
  if (said.is_stopped) {
    const closed = closeGate(gate, causeOf(said), null);
    return closed && { ...closed, isKnownThere: true, alertIds: said.alert_ids };
  }
  if (gate === null || gate.stops.state !== "stopped") return gate;
  if (!gate.isKnownThere || !isAllDelivered) return gate;
  return { ...gate, stops: confirm(gate.stops, "therapist") };
}

/** The patient goes on after the confirmation; the gate itself where there is none. */
export function passGate(gate: Gate | null): Gate | null {
  return gate?.stops.state === "confirmed" ? null : gate;
}

export function isClosed(gate: Gate | null): boolean {
  return gate !== null && gate.stops.state === "stopped";
}

/** Whose word is missing. */
export function waitsFor(gate: Gate): Confirmer | null {
  return needsConfirmationBy(gate.stops);
}

const CAUSES: readonly string[] = ["heart_rate_high", "heart_rate_low", "spo2_low", "pain_high", "pain_rise", "fall_hint", "stop_pressed"];

/** A cause that this page does not know stops all the same, and waits for the therapist. */
function causeOf(said: StopRead): Cause {
  if (said.cause !== null && CAUSES.includes(said.cause)) return said.cause as Cause;
  return said.needs_confirmation_by === "patient" ? "stop_pressed" : "pain_high";
}
