import { computed, effect, signal, type Signal } from "@preact/signals";
import { api, ApiError, type LiveSessionSummary, type Me } from "../shared/api";
import { startLanguage } from "../shared/i18n";
import { isPresent, isWaiting, type Participant } from "../shared/messages";
import { openOwnMedia, rememberedChoice, type MediaChoice } from "../shared/own_media";
import { Room } from "../shared/room";

export type Screen =
  | "loading"
  | "not_logged_in"
  | "home"
  | "waiting"
  | "training"
  | "stop_question"
  | "writing"
  | "receipt"
  | "replaced"
  | "revoked";

const LOOK_AGAIN_MS = 3000;
const CALL_AGAIN_MS = 1000;
/** Kept for the tab only: after a reload the patient is back without a tap. */
const SEAT_KEY = "telerehab.seat";

/** What the patient's page knows and does; the screens only show it. */
export class PatientFace {
  readonly me = signal<Me | null>(null);
  readonly loaded = signal(false);
  readonly unreachable = signal(false);
  readonly loggedIn = signal(true);
  readonly offered = signal<LiveSessionSummary | null>(null);
  readonly room = signal<Room | null>(null);
  readonly media = signal<MediaChoice | null>(rememberedChoice());
  /** What the patient wants; null = what the server says. Sent again until both agree. */
  readonly pauseWanted = signal<boolean | null>(null);
  readonly asking = signal<"stop" | "write" | null>(null);
  readonly helpOpen = signal(false);
  /** What the patient wants; null = what the server says. Sent again until both agree. */
  readonly helpWanted = signal<boolean | null>(null);
  readonly receipt = signal<Receipt | null>(null);
  readonly soundBlocked = signal<(() => void) | null>(null);
  private lastTherapistName = "";

  readonly therapist = computed<Participant | null>(
    () => this.room.value?.state.value?.participants.find((participant) => participant.role === "therapist") ?? null,
  );
  readonly self = computed<Participant | null>(() => this.room.value?.me() ?? null);
  readonly training = computed(() => this.self.value?.training_session ?? null);
  readonly helpOn = computed(() => this.helpWanted.value ?? (this.self.value?.help_since ?? null) !== null);
  readonly paused = computed(() => this.pauseWanted.value ?? (this.self.value?.paused_since ?? null) !== null);
  readonly helpHeard = computed(() => (this.self.value?.help_since ?? null) !== null && this.room.value?.link.value === "open");

  readonly screen = computed<Screen>(() => {
    if (!this.loggedIn.value) return "not_logged_in";
    if (this.receipt.value) return "receipt";
    const room = this.room.value;
    if (room?.bye.value === "replaced") return "replaced";
    if (room?.bye.value === "revoked") return "revoked";
    if (!this.loaded.value) return "loading";
    const self = this.self.value;
    if (!room) return "home";
    if (!self) return "loading";
    if (isWaiting(self)) return "waiting";
    if (!isPresent(self)) return "loading";
    if (this.asking.value === "stop") return "stop_question";
    return this.asking.value === "write" ? "writing" : "training";
  });

  start(): void {
    void this.look();
    setInterval(() => void this.look(), LOOK_AGAIN_MS);
    setInterval(() => this.callAgain(), CALL_AGAIN_MS);
    effect(() => {
      const bye = this.room.value?.bye.value;
      if (bye === "ended") void this.finish("done");
    });
    effect(() => {
      const room = this.room.value;
      if (!room?.refused.value) return;
      if (room.me()) void this.finish("done"); // ended while the line was broken: the patient has a receipt all the same
      else this.forgetSeat();
    });
    effect(() => {
      if (this.self.value?.state === "removed") void this.finish("done");
    });
    effect(() => {
      if (this.room.value) void keepAwake();
    });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible" && this.room.peek()) void keepAwake();
    });
  }

  name(): string {
    this.lastTherapistName = this.therapist.value?.display_name ?? this.lastTherapistName;
    return this.lastTherapistName;
  }

  /** Take the seat. `wish` is asked of the machine once; a no is remembered and never asked about again. */
  async join(wish: MediaChoice): Promise<void> {
    const offered = this.offered.value;
    if (!offered) return;
    sessionStorage.setItem(SEAT_KEY, offered.id);
    const media = openOwnMedia(wish).then(({ stream, choice }) => {
      this.media.value = choice;
      return stream;
    });
    const room = new Room(offered.id, () => undefined);
    this.receipt.value = null;
    this.helpWanted.value = this.pauseWanted.value = null;
    this.room.value = room;
    room.start();
    const stop = effect(() => {
      const self = room.me();
      if (!self || !isPresent(self)) return;
      queueMicrotask(() => stop());
      void room.media.subscribe({ audio: 1, video: 1 });
      void media.then((stream) => {
        if (stream && this.room.peek() === room) void room.media.publish(stream);
        else stream?.getTracks().forEach((track) => track.stop());
      });
    });
  }

  wantHelp(on: boolean): void {
    if (!this.room.value) {
      this.helpOpen.value = on;
      return;
    }
    this.helpWanted.value = on;
    this.callAgain();
  }

  wantPause(on: boolean): void {
    this.pauseWanted.value = on;
    this.callAgain();
  }

  /** End the own training, tell the server, keep a receipt. Whatever fails on the way, the patient has stopped. */
  async finish(reason: "done" | "stop"): Promise<void> {
    const room = this.room.peek();
    if (!room || this.receipt.peek()) return;
    const training = this.training.peek();
    const receipt: Receipt = { ...summary(room), therapist: this.name(), saved: signal(false) };
    this.receipt.value = receipt;
    this.asking.value = null;
    this.helpWanted.value = this.pauseWanted.value = null;
    sessionStorage.removeItem(SEAT_KEY);
    if (reason === "stop") room.leave();
    else room.close();
    this.room.value = null;
    while (training && !receipt.saved.peek()) {
      receipt.saved.value = await api.closeTrainingSession(training.id, reason).then(
        () => true,
        (error: unknown) => error instanceof ApiError && error.status >= 400 && error.status < 500, // closed already
      );
      if (!receipt.saved.peek()) await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
    receipt.saved.value = true;
  }

  closeReceipt(): void {
    this.receipt.value = null;
    void this.look();
  }

  async takeBack(): Promise<void> {
    this.closeRoom();
    await this.look();
    await this.join(this.media.value ?? "none");
  }

  private forgetSeat(): void {
    sessionStorage.removeItem(SEAT_KEY);
    this.closeRoom();
    this.offered.value = null;
  }

  private closeRoom(): void {
    this.room.peek()?.close();
    this.room.value = null;
  }

  /** Look for the login and for a live session to join; again and again, so that nobody has to reload a page. */
  private async look(): Promise<void> {
    if (this.room.peek()) return;
    try {
      if (this.me.peek() === null) {
        const me = await api.me();
        startLanguage(me.language);
        this.me.value = me;
      }
      const sessions = await api.liveSessions();
      this.offered.value = sessions.find((session) => ["open", "live", "paused", "scheduled"].includes(session.state)) ?? null;
      this.unreachable.value = false;
      this.loggedIn.value = true;
      this.loaded.value = true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.loggedIn.value = false;
      else this.unreachable.value = true;
      return;
    }
    const wasSeated = this.offered.value !== null && sessionStorage.getItem(SEAT_KEY) === this.offered.value.id;
    if (wasSeated && !this.room.peek() && !this.receipt.peek()) await this.join(this.media.value ?? "none");
  }

  private callAgain(): void {
    const room = this.room.peek();
    if (!room || room.link.peek() === "closed") return;
    const self = room.me();
    insist(this.helpWanted, (self?.help_since ?? null) !== null, room.help);
    insist(this.pauseWanted, (self?.paused_since ?? null) !== null, room.pause);
  }
}

export interface Receipt {
  repetitions: number;
  romDeg: number | null;
  therapist: string;
  saved: { value: boolean; peek(): boolean };
}

/** Ask for what is wanted unless the server has it; what is not heard is asked for again in a second. */
function insist(wanted: Signal<boolean | null>, isOn: boolean, ask: (on: boolean) => Promise<unknown>): void {
  const wish = wanted.peek();
  if (wish === null) return;
  if (wish === isOn) wanted.value = null;
  else ask(wish).catch(() => undefined);
}

/** Keep the tablet's screen on while training; where the browser cannot, the screen goes dark as the tablet is set. */
async function keepAwake(): Promise<void> {
  const lock = "wakeLock" in navigator ? navigator.wakeLock : null;
  await lock?.request("screen").catch(() => undefined);
}

function summary(room: Room): { repetitions: number; romDeg: number | null } {
  let repetitions = 0;
  for (const value of room.values.values()) repetitions += value.entry.repetitions;
  return { repetitions, romDeg: room.largestRomDeg() };
}
