import { computed, signal } from "@preact/signals";
import { ApiError } from "../../shared/api";
import { playTone } from "../../shared/tone";
import { care } from "../api";
import type { Alert, HelpCall } from "../types";

export const POLL_MS = 2000;
/** Read last longer ago than this: the page says so, with the time. */
export const STALE_MS = 6000;
const HELP_TONE_HZ = 740;
const ALERT_TONE_HZ = 590;

/** Open alerts and help calls of the therapist, read every two seconds on every page. */
export class SafetyWatch {
  readonly alerts = signal<Alert[]>([]);
  readonly helpCalls = signal<HelpCall[]>([]);
  /** When both were read last; null: never yet. */
  readonly readAt = signal<Date | null>(null);
  readonly isStale = signal(false);
  /** The browser plays nothing before somebody has pressed something on this page. */
  readonly isSilenced = signal(false);
  readonly announced = signal<Alert | HelpCall | null>(null);
  readonly isAnything = computed(() => this.alerts.value.length + this.helpCalls.value.length > 0);

  private readonly heard = new Set<string>();
  private startedMs = 0;
  private readMs: number | null = null;
  private isReading = false;
  private timer: ReturnType<typeof setInterval> | null = null;

  start(): void {
    this.startedMs = performance.now();
    this.timer ??= setInterval(() => void this.read(), POLL_MS);
    void this.read();
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  /** Read now: by the timer, after an action of one's own, or because the server said that something changed. */
  async read(): Promise<void> {
    this.judgeAge();
    if (this.isReading) return;
    this.isReading = true;
    try {
      const [alerts, helpCalls] = await Promise.all([care.alerts(), care.helpCalls()]);
      this.take(alerts, helpCalls);
      this.readAt.value = new Date();
      this.readMs = performance.now();
      this.isStale.value = false;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.stop();
      this.judgeAge();
    } finally {
      this.isReading = false;
    }
  }

  /** Called by somebody's own hand: from now on the page may sound. */
  allowSound(): void {
    this.isSilenced.value = false;
    playTone(HELP_TONE_HZ, 0.4);
  }

  private judgeAge(): void {
    this.isStale.value = performance.now() - (this.readMs ?? this.startedMs) > STALE_MS;
  }

  private take(alerts: Alert[], helpCalls: HelpCall[]): void {
    const call = firstUnheard(this.heard, helpCalls.filter(isRinging), ringKey);
    const alert = firstUnheard(
      this.heard,
      alerts.filter((each) => each.acknowledged === null),
      (each) => each.id,
    );
    if (call) playTone(HELP_TONE_HZ, 1.2);
    else if (alert) playTone(ALERT_TONE_HZ, 0.9);
    if (call ?? alert) {
      this.announced.value = call ?? alert;
      this.isSilenced.value = navigator.userActivation?.hasBeenActive === false;
    }
    this.alerts.value = [...alerts].sort(byNeed);
    this.helpCalls.value = helpCalls;
  }
}

/** Nobody has answered it yet. */
export function isRinging(call: HelpCall): boolean {
  return ["called", "told", "escalated"].includes(call.state);
}

/** One sound per ring: a call that rings anew is heard anew. */
export function ringKey(call: HelpCall): string {
  return `${call.id} ${call.rang_at}`;
}

/** Return the first that was never heard, and remember them all. */
export function firstUnheard<V>(heard: Set<string>, all: readonly V[], key: (one: V) => string): V | null {
  const fresh = all.filter((one) => !heard.has(key(one)));
  for (const one of fresh) heard.add(key(one));
  return fresh[0] ?? null;
}

/** What nobody has acknowledged first; stops before what is only told; then the longest wait. */
export function byNeed(one: Alert, other: Alert): number {
  const isSeen = (alert: Alert) => Number(alert.acknowledged !== null);
  return isSeen(one) - isSeen(other) || Number(other.is_stop) - Number(one.is_stop) || one.found_at.localeCompare(other.found_at);
}
