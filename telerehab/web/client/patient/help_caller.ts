import { computed, signal } from "@preact/signals";
import { ApiError, newId } from "../shared/api";
import { keep, kept } from "../shared/kept";
import { patientApi, type HelpCallRead } from "./api";

export const UNANSWERED_MS = 30_000;
const LOOK_AGAIN_MS = 2000;
const KEY = "telerehab.help_call";

/** What the patient sees of a call for help. */
export type HelpView =
  | { kind: "calling"; name: string | null }
  | { kind: "answered"; name: string | null }
  /** Use the telephone: nobody answered, nobody is on duty, or the server is out of reach. The call goes on ringing. */
  | { kind: "telephone"; why: "no_answer" | "out_of_hours" | "unreachable" | "helper" };

/** Decide what to show. `sinceMs`: how long ago the button was pressed, by a clock that never steps. */
export function viewOf(call: HelpCallRead | null, isReached: boolean, sinceMs: number): HelpView {
  if (call?.state === "answered") return { kind: "answered", name: call.answered_name ?? call.told_name ?? null };
  if (!isReached) return { kind: "telephone", why: "unreachable" };
  if (call?.is_out_of_hours) return { kind: "telephone", why: "out_of_hours" };
  if (call?.is_unanswered || sinceMs >= UNANSWERED_MS) return { kind: "telephone", why: "no_answer" };
  return { kind: "calling", name: call?.told_name ?? null };
}

/** One call for help: made until the server has it, looked after until somebody closes it or the patient takes it back. */
export class HelpCaller {
  readonly id = signal<string | null>(null);
  readonly call = signal<HelpCallRead | null>(null);
  readonly isReached = signal(true);
  private readonly sinceMs = signal(0);
  private pressedMs = 0;
  private liveSession: string | null = null;
  /** A helper has no call of their own: only the number. */
  private isByTablet = true;
  private timer: ReturnType<typeof setInterval> | null = null;
  private isAsking = false;

  readonly isOn = computed(() => this.id.value !== null);
  readonly view = computed<HelpView | null>(() =>
    this.id.value === null ? null : !this.isByTablet ? { kind: "telephone", why: "helper" } : viewOf(this.call.value, this.isReached.value, this.sinceMs.value),
  );

  constructor(private readonly withdrawLater: (id: string) => void) {}

  /** A call that was open before a reload is looked after again. */
  resume(): void {
    const id = kept<string>(KEY);
    if (typeof id === "string") this.look(id);
  }

  press(liveSession: string | null, isByTablet: boolean): void {
    this.isByTablet = isByTablet;
    this.liveSession = liveSession;
    if (this.id.peek() === null) this.look(newId());
    else if (this.call.peek()?.state === "answered") this.look(this.id.peek() ?? newId()); // pressed again: it rings again
  }

  /** The patient takes it back; the server hears of it when it can be reached. */
  withdraw(): void {
    const id = this.id.peek();
    if (id !== null && this.isByTablet && this.call.peek()?.state !== "closed") this.withdrawLater(id);
    this.forget();
  }

  private look(id: string): void {
    this.call.value = null;
    this.id.value = id;
    if (!this.isByTablet) return;
    keep(KEY, id);
    this.isReached.value = navigator.onLine;
    this.pressedMs = performance.now();
    this.sinceMs.value = 0;
    this.timer ??= setInterval(() => void this.again(), LOOK_AGAIN_MS);
    void this.again();
  }

  private async again(): Promise<void> {
    const id = this.id.peek();
    if (id === null) return;
    this.sinceMs.value = performance.now() - this.pressedMs;
    if (this.isAsking) return;
    this.isAsking = true;
    try {
      // Making the same call twice is making it once; afterwards it is only looked at.
      const call = this.call.peek() === null ? await patientApi.callForHelp(id, this.liveSession) : await patientApi.helpCall(id);
      if (this.id.peek() !== id) return;
      this.isReached.value = true;
      this.call.value = call;
      if (call.id !== id) {
        this.id.value = call.id; // another call of this patient was open: that one rings
        keep(KEY, call.id);
      }
      if (call.state === "closed") this.forget();
    } catch (error) {
      this.isReached.value = false;
      // A call that the server does not take is no call: the number stays on the screen, and we go on trying.
      if (error instanceof ApiError && error.status === 404) this.call.value = null;
    } finally {
      this.isAsking = false;
    }
  }

  private forget(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    keep(KEY, null);
    this.id.value = null;
    this.call.value = null;
  }
}
