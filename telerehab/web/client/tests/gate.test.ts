import { describe, expect, test } from "vitest";
import type { HelpCallRead, StopRead } from "../patient/api";
import { closeGate, heedServer, isClosed, passGate, waitsFor, type Gate } from "../patient/gate";
import { UNANSWERED_MS, viewOf } from "../patient/help_caller";
import { localVoice } from "../shared/speech";
import type { Cause } from "../shared/safety";

const QUIET: StopRead = { is_stopped: false, cause: null, since: null, needs_confirmation_by: null, alert_ids: [], telephone: null };
const PAIN: StopRead = { ...QUIET, is_stopped: true, cause: "pain_high", needs_confirmation_by: "therapist" };
const OWN: StopRead = { ...QUIET, is_stopped: true, cause: "stop_pressed", needs_confirmation_by: "patient", alert_ids: ["a"] };
const CAUSES: Cause[] = ["heart_rate_high", "heart_rate_low", "spo2_low", "pain_high", "pain_rise", "fall_hint", "stop_pressed"];

function closed(cause: Cause = "pain_high"): Gate {
  return closeGate(null, cause, 8) as Gate;
}

describe("no way back to exercise without the confirmation that the server asks for", () => {
  test.each(CAUSES)("%s closes the gate, and nothing that happens on the tablet opens it", (cause) => {
    const gate = closed(cause);
    expect(isClosed(gate)).toBe(true);
    expect(passGate(gate)).toBe(gate);
    expect(passGate(closeGate(gate, cause, 3))).not.toBeNull();
  });

  test("a lost stream is told and stops nothing", () => {
    expect(closeGate(null, "stream_lost", 31)).toBeNull();
  });

  test("the server's silence opens nothing before the server has known of the stop", () => {
    const gate = closed();
    expect(heedServer(gate, QUIET, true)).toBe(gate);
    const known = heedServer(gate, PAIN, false) as Gate;
    expect(isClosed(known)).toBe(true);
    expect(heedServer(known, QUIET, true)?.stops.state).toBe("confirmed");
  });

  test("the server's silence opens nothing while a report is still on its way", () => {
    const known = heedServer(closed(), PAIN, true) as Gate;
    expect(heedServer(known, QUIET, false)).toBe(known);
  });

  test("after the confirmation the patient goes on by a press, not by itself", () => {
    const open = heedServer(heedServer(closed(), PAIN, true), QUIET, true);
    expect(open).not.toBeNull();
    expect(isClosed(open)).toBe(false);
    expect(passGate(open)).toBeNull();
  });

  test("a new cause closes a gate that was confirmed", () => {
    const open = heedServer(heedServer(closed(), PAIN, true), QUIET, true);
    expect(isClosed(closeGate(open, "heart_rate_high", 150))).toBe(true);
  });

  test("a stop that only the server knows closes the gate too", () => {
    expect(isClosed(heedServer(null, PAIN, true))).toBe(true);
    expect(isClosed(heedServer(null, { ...PAIN, cause: "something_new" }, true))).toBe(true);
    expect(heedServer(null, QUIET, true)).toBeNull();
  });

  test("the patient's own word is enough only where the server says so", () => {
    const own = heedServer(null, OWN, true) as Gate;
    expect([waitsFor(own), own.alertIds]).toEqual(["patient", ["a"]]);
    expect(waitsFor(heedServer(own, PAIN, true) as Gate)).toBe("therapist");
  });
});

describe("a call for help", () => {
  const told: HelpCallRead = { id: "c", state: "told", told_name: "Mette", answered_name: null };

  test("says who is rung, and who has answered", () => {
    expect(viewOf(null, true, 0)).toEqual({ kind: "calling", name: null });
    expect(viewOf(told, true, 5000)).toEqual({ kind: "calling", name: "Mette" });
    expect(viewOf({ ...told, state: "answered", answered_name: "Ole" }, true, UNANSWERED_MS)).toEqual({ kind: "answered", name: "Ole" });
  });

  test("shows the number after 30 s by the page's own clock, whatever the server says", () => {
    expect(viewOf(told, true, UNANSWERED_MS - 1).kind).toBe("calling");
    expect(viewOf(told, true, UNANSWERED_MS)).toEqual({ kind: "telephone", why: "no_answer" });
  });

  test("shows the number at once out of hours, when told, and without a link", () => {
    expect(viewOf({ ...told, is_out_of_hours: true }, true, 0)).toEqual({ kind: "telephone", why: "out_of_hours" });
    expect(viewOf({ ...told, is_unanswered: true }, true, 0)).toEqual({ kind: "telephone", why: "no_answer" });
    expect(viewOf(null, false, 0)).toEqual({ kind: "telephone", why: "unreachable" });
  });
});

test("only a voice of this machine reads aloud", () => {
  const voice = (lang: string, localService: boolean) => ({ lang, localService }) as SpeechSynthesisVoice;
  expect(localVoice([voice("da-DK", false), voice("en-GB", true)], "da")).toBeNull();
  expect(localVoice([voice("da-DK", false), voice("da-DK", true)], "da")?.localService).toBe(true);
});
