import { signal } from "@preact/signals";
import { keep, kept } from "../shared/kept";
import { DEFAULT_LIMITS, NEW_WATCH, confirmWatch, step, type Cause, type Limits, type Observation, type Watch } from "../shared/safety";
import { patientApi, type StopRead } from "./api";
import { closeGate, heedServer, isClosed, passGate, type Gate } from "./gate";

const ASK_AGAIN_MS = 2000;

/** What the guard needs to know of the writes that are still under way. */
export interface Deliveries {
  isAllDelivered(): boolean;
}

/** Watches one patient's training by the limits of the plan, and keeps the gate; the decisions are in `gate.ts` and `safety.ts`. */
export class Guard {
  readonly gate = signal<Gate | null>(null);
  /** The server answered the last time it was asked. */
  readonly isReached = signal(true);
  private watch: Watch = NEW_WATCH;
  private limits: Limits = DEFAULT_LIMITS;
  private patientId: string | null = null;
  private timer: ReturnType<typeof setInterval> | null = null;
  private onClosed: (cause: Cause) => void = () => undefined;

  constructor(private readonly deliveries: Deliveries) {}

  /** Guard this patient; a gate that was closed before a reload is still closed. */
  start(patientId: string, onClosed: (cause: Cause) => void): void {
    this.patientId = patientId;
    this.onClosed = onClosed;
    const before = kept<Gate>(this.key("gate"));
    this.gate.value = before?.version === 1 ? before : null;
    if (this.timer === null) this.timer = setInterval(() => void this.ask(), ASK_AGAIN_MS);
    void this.ask();
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.gate.value = null;
    this.patientId = null;
  }

  useLimits(limits: Limits | null | undefined): void {
    this.limits = limits ?? DEFAULT_LIMITS;
  }

  /** A training session begins, or one goes on after a reload: what was reported in it holds. */
  beginWatch(trainingSession: string): void {
    const before = kept<{ id: string; startPain: number | null }>(this.key("start_pain"));
    this.watch = { ...NEW_WATCH, startPain: before?.id === trainingSession ? before.startPain : null };
    keep(this.key("start_pain"), { id: trainingSession, startPain: this.watch.startPain });
  }

  /** Judge what is newly known; true when training must stop now. */
  observe(seen: Observation, nowMs: number): boolean {
    const [watch, events] = step(this.watch, seen, this.limits, nowMs);
    if (watch.startPain !== this.watch.startPain) {
      const begun = kept<{ id: string }>(this.key("start_pain"));
      keep(this.key("start_pain"), { id: begun?.id ?? "", startPain: watch.startPain });
    }
    this.watch = watch;
    for (const event of events) this.set(closeGate(this.gate.peek(), event.cause, event.value));
    const wasClosed = events.some((event) => isClosed(closeGate(null, event.cause, null)));
    if (wasClosed) this.onClosed(events[0]?.cause ?? "pain_high");
    return wasClosed;
  }

  /** Take in what the server says of a report. */
  heed(answer: StopRead, isAllDelivered: boolean): void {
    const before = this.gate.peek();
    const after = heedServer(before, answer, isAllDelivered);
    this.set(after);
    if (isClosed(after) && !isClosed(before)) this.onClosed(after?.stops.openCauses[0] ?? "pain_high");
  }

  /** The server refused to go on because a stop stands; what it is, it says when asked. */
  heedRefusal(): void {
    this.heed({ is_stopped: true, cause: null, since: null, needs_confirmation_by: "therapist", alert_ids: [], telephone: null }, false);
    void this.ask();
  }

  /** Go on after the confirmation. */
  pass(): boolean {
    const after = passGate(this.gate.peek());
    if (after !== null) return false;
    this.watch = confirmWatch(this.watch);
    this.set(null);
    return true;
  }

  /** The patient says: I am well again. Only where the server asks for no more than that. */
  async confirmMyself(): Promise<void> {
    for (const alert of this.gate.peek()?.alertIds ?? []) await patientApi.confirmStop(alert).catch(() => undefined);
    await this.ask();
  }

  private async ask(): Promise<void> {
    const patientId = this.patientId;
    if (patientId === null) return;
    const isAllDelivered = this.deliveries.isAllDelivered(); // before asking: what leaves meanwhile is not in the answer
    try {
      const answer = await patientApi.stop(patientId);
      if (this.patientId !== patientId) return;
      this.isReached.value = true;
      this.heed(answer, isAllDelivered && this.deliveries.isAllDelivered());
    } catch {
      this.isReached.value = false;
    }
  }

  private set(gate: Gate | null): void {
    if (gate === this.gate.peek()) return;
    this.gate.value = gate;
    keep(this.key("gate"), gate);
  }

  private key(name: string): string {
    return `telerehab.${name}.${this.patientId ?? ""}`;
  }
}
