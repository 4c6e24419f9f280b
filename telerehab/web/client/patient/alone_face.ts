import { signal } from "@preact/signals";
import { newId } from "../shared/api";
import { keep, kept } from "../shared/kept";
import { freshnessOf } from "../shared/live_values";
import { OwnValues } from "../shared/own_values";
import type { Outbox } from "../shared/outbox";
import {
  beginAlone,
  beginSet,
  confirmSpace,
  countBySensor,
  countOne,
  endSet,
  interrupt,
  passCheck,
  reportEffort,
  reportPain,
  returnToInstructions,
  skipItem,
  stopTraining,
  type Alone,
  type Change,
  type Given,
} from "./alone";
import type { TodaysPlan } from "./api";
import type { Guard } from "./guard";

const TICK_MS = 500;
const GIVEN: Given = { newId, now: () => new Date().toISOString() };

/** Training alone: `alone.ts` decides, the outbox delivers, the guard stops. */
export class AloneFace {
  readonly state = signal<Alone | null>(null);
  readonly asksToStop = signal(false);
  readonly asksForPain = signal(false);
  readonly values = new OwnValues();
  private patientId: string | null = null;
  private timer: ReturnType<typeof setInterval> | null = null;
  private isListening = false;
  /** What the sensors had counted when the set began. */
  private countedBefore = 0;

  constructor(
    private readonly outbox: Outbox,
    private readonly guard: Guard,
  ) {}

  /** What ran when the page went is on the screen again. */
  start(patientId: string): void {
    if (this.patientId === patientId) return;
    this.patientId = patientId;
    const before = kept<Alone>(this.key());
    this.set(before?.version === 1 && before.patientId === patientId ? before : null);
    const state = this.state.peek();
    if (state !== null && state.step !== "receipt") this.guardNow(state);
  }

  begin(plan: TodaysPlan, patientId: string): void {
    this.patientId = patientId;
    const begun = beginAlone(patientId, plan, GIVEN);
    if (begun === null) return;
    this.take(begun);
    this.guardNow(begun.state);
  }

  passCheck = (usesSensors: boolean) => this.make((state) => passCheck(state, usesSensors));
  /** Not now after all, before anything was trained: no receipt is due. */
  back = () => {
    this.make((state) => stopTraining(state, GIVEN));
    this.finish();
  };
  confirmSpace = () => this.make(confirmSpace);
  beginSet = () => {
    this.countedBefore = this.newest()?.entry.repetitions ?? 0;
    this.make((state) => beginSet(state, GIVEN));
  };
  countOne = () => this.make(countOne);
  endSet = () => this.make((state) => endSet(state, "done", GIVEN));
  skip = () => this.make(skipItem);
  reportEffort = (value: number) => this.make((state) => reportEffort(state, value, GIVEN));
  goOn = () => this.make(returnToInstructions);

  /** Judge pain here and now, without asking anybody; then tell it. */
  reportPain(value: number): void {
    this.asksForPain.value = false;
    // Told first: what is judged below may end the set, and the report names the set that runs.
    this.make((state) => reportPain(state, value, GIVEN));
    this.guard.observe({ pain: value }, performance.now());
  }

  /** The guard has closed the gate: the movement ends now. */
  interrupt(): void {
    this.asksToStop.value = this.asksForPain.value = false;
    this.make((state) => interrupt(state, GIVEN));
  }

  stop(): void {
    this.asksToStop.value = this.asksForPain.value = false;
    this.make((state) => stopTraining(state, GIVEN));
    this.hush();
  }

  /** The receipt is read. */
  finish(): void {
    this.set(null);
    this.hush();
  }

  newest() {
    const state = this.state.peek();
    return state === null ? null : this.values.valueOf(state.id);
  }

  private make(change: (state: Alone) => Change): void {
    const before = this.state.peek();
    if (before !== null) this.take(change(before));
  }

  private take({ state, writes }: Change): void {
    // The writes are kept before the state: after a crash between the two a step is told twice, never lost.
    for (const write of writes) this.outbox.put(write);
    this.set(state);
    if (state.step === "receipt") this.hush();
  }

  private set(state: Alone | null): void {
    this.state.value = state;
    keep(this.key(), state);
  }

  private guardNow(state: Alone): void {
    this.guard.useLimits(state.plan.limits);
    this.guard.beginWatch(state.id);
    this.listen();
  }

  private listen(): void {
    if (this.isListening) return;
    this.isListening = true;
    this.values.start();
    this.timer ??= setInterval(() => this.tick(), TICK_MS);
  }

  private hush(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.isListening = false;
    this.values.close();
  }

  private tick(): void {
    const state = this.state.peek();
    const value = this.newest();
    const nowMs = performance.now();
    const isFresh = freshnessOf(value, nowMs).freshness === "fresh";
    if (state === null || value === null || !isFresh) return;
    this.guard.observe({ heartRate: value.entry.heartRate }, nowMs);
    if (state.step !== "set" || !state.usesSensors) return;
    if (value.entry.repetitions < this.countedBefore) this.countedBefore = 0; // intake counts each set from zero
    this.make((before) => countBySensor(before, value.entry.repetitions - this.countedBefore));
  }

  private key(): string {
    return `telerehab.training.${this.patientId ?? ""}`;
  }
}
