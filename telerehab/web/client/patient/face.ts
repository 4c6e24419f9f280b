import { computed, effect, signal, type Signal } from "@preact/signals";
import { api, ApiError, newId, type LiveSessionSummary, type Me } from "../shared/api";
import { startLanguage } from "../shared/i18n";
import { isPresent, isWaiting, type Participant } from "../shared/messages";
import { freshnessOf } from "../shared/live_values";
import { Outbox, STOP_UNCONFIRMED, type OutboxEntry, type Outcome } from "../shared/outbox";
import { openOwnMedia, rememberedChoice, type MediaChoice } from "../shared/own_media";
import { Room } from "../shared/room";
import { patientApi, type HelpedPatient, type StopRead } from "./api";
import { AloneFace } from "./alone_face";
import { Guard } from "./guard";
import { HelpCaller } from "./help_caller";
import { HomeData } from "./home_data";

/** What the patient looks at outside training; each is one screen. */
export type HomePage = "home" | "messages" | "goals" | "progress" | "questionnaire" | "not_today" | "pin_setup";

export type Screen =
  | "loading"
  | "not_logged_in"
  | "pin"
  | "whom"
  | "offer"
  | HomePage
  | "alone"
  | "pain"
  | "waiting"
  | "training"
  | "stop_question"
  | "writing"
  | "receipt"
  | "stopped"
  | "replaced"
  | "revoked";

const LOOK_AGAIN_MS = 3000;
const CALL_AGAIN_MS = 1000;
const RENEW_MS = 6 * 3_600_000;
/** Kept for the tab only: after a reload the patient is back without a tap. */
const SEAT_KEY = "telerehab.seat";
/** Kept for the tab only: the PIN is asked when the page is opened, not again while somebody trains. */
const PIN_KEY = "telerehab.pin_given";
const TELEPHONE_KEY = "telerehab.help_telephone";

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
  readonly asking = signal<"stop" | "write" | "pain" | null>(null);
  readonly page = signal<HomePage>("home");
  /** The plan is looked at although a live session could be joined. */
  readonly showsPlan = signal(false);
  readonly pinGiven = signal(sessionStorage.getItem(PIN_KEY) !== null);
  readonly hasPin = signal(false);
  /** Whom a helper helps now. */
  readonly helped = signal<HelpedPatient | null>(null);
  readonly helpedPatients = signal<HelpedPatient[] | null>(null);
  readonly telephone = signal<string | null>(localStorage.getItem(TELEPHONE_KEY));
  readonly home = new HomeData();
  readonly outbox = new Outbox((outcome) => this.heedOutcome(outcome));
  readonly guard = new Guard({ isAllDelivered: () => !this.outbox.isWaitingFor(isReport) });
  readonly alone = new AloneFace(this.outbox, this.guard);
  readonly helpCaller = new HelpCaller((id) => this.withdrawLater(id));
  /** What the patient wants; null = what the server says. Sent again until both agree. */
  readonly helpWanted = signal<boolean | null>(null);
  readonly receipt = signal<Receipt | null>(null);
  readonly soundBlocked = signal<(() => void) | null>(null);
  private lastTherapistName = "";
  private meReadMs = 0;

  readonly therapist = computed<Participant | null>(
    () => this.room.value?.state.value?.participants.find((participant) => participant.role === "therapist") ?? null,
  );
  readonly self = computed<Participant | null>(() => this.room.value?.me() ?? null);
  readonly training = computed(() => this.self.value?.training_session ?? null);
  readonly helpOn = computed(() => this.helpWanted.value ?? (this.self.value?.help_since ?? null) !== null);
  readonly paused = computed(() => this.pauseWanted.value ?? (this.self.value?.paused_since ?? null) !== null);
  readonly helpHeard = computed(() => (this.self.value?.help_since ?? null) !== null && this.room.value?.link.value === "open");

  readonly isHelper = computed(() => this.me.value?.role === "helper");
  /** The patient whose page this is; null as long as nobody knows. */
  readonly patientId = computed(() => this.me.value?.patient_id ?? this.helped.value?.patient_id ?? null);
  readonly patientName = computed(() => (this.isHelper.value ? this.helped.value?.display_name : this.me.value?.display_name) ?? "");

  readonly screen = computed<Screen>(() => {
    // Who trains alone is not sent away in the middle; what is trained waits for the next login.
    if (!this.loggedIn.value && this.alone.state.value === null) return "not_logged_in";
    if (this.needsPin()) return "pin";
    if (this.receipt.value) return "receipt";
    const room = this.room.value;
    if (room?.bye.value === "replaced") return "replaced";
    if (room?.bye.value === "revoked") return "revoked";
    // What ran before a reload needs no server to go on; a closed gate stands before everything that moves.
    const isTraining = room !== null || (this.alone.state.value !== null && this.alone.state.value.step !== "receipt");
    if (isTraining && this.guard.gate.value !== null) return "stopped";
    if (!room && this.alone.state.value !== null) return "alone";
    if (!this.loaded.value) return "loading";
    if (this.isHelper.value && this.helped.value === null) return "whom";
    const self = this.self.value;
    if (!room) return this.canJoin() && !this.showsPlan.value ? "offer" : this.page.value;
    if (!self) return "loading";
    if (isWaiting(self)) return "waiting";
    if (!isPresent(self)) return "loading";
    if (this.asking.value === "stop") return "stop_question";
    if (this.asking.value === "pain") return "pain";
    return this.asking.value === "write" ? "writing" : "training";
  });

  start(): void {
    this.helpCaller.resume();
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
      if (this.room.value || this.alone.state.value) void keepAwake();
    });
    effect(() => {
      const patientId = this.patientId.value;
      if (patientId === null || this.needsPin()) return;
      this.home.start(patientId, this.isHelper.value);
      this.outbox.start(patientId);
      this.guard.start(patientId, () => this.interrupt());
      this.alone.start(patientId);
    });
    effect(() => this.keepTelephone(this.helpCaller.call.value?.telephone));
    effect(() => {
      const training = this.training.value?.id;
      if (training === undefined) return;
      this.guard.useLimits(this.home.today.peek()?.plan?.limits);
      this.guard.beginWatch(training);
    });
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState !== "visible") return;
      if (this.room.peek() || this.alone.state.peek()) void keepAwake();
      void this.outbox.flush();
    });
    addEventListener("online", () => void this.outbox.flush());
  }

  needsPin(): boolean {
    return this.hasPin.value && !this.pinGiven.value;
  }

  givePin(): void {
    sessionStorage.setItem(PIN_KEY, "1");
    this.pinGiven.value = true;
    void this.look();
  }

  /** A helper chooses whom to help, or goes back to the list. */
  help(patient: HelpedPatient | null): void {
    this.home.stop();
    this.guard.stop();
    this.page.value = "home";
    this.helped.value = patient;
    if (patient !== null) void this.look();
  }

  canJoin(): boolean {
    return this.offered.value !== null && this.may("join");
  }

  /** May this login do what a helper needs a scope for? */
  may(scope: string): boolean {
    return !this.isHelper.value || (this.helped.value?.scopes.includes(scope) ?? false);
  }

  /** Something for the server, delivered now or when the link is back. */
  send(method: OutboxEntry["method"], path: string, body: unknown, group: string = newId()): void {
    const owner = this.patientId.peek();
    if (owner !== null) this.outbox.put({ owner, group, method, path, body });
  }

  startAlone(): void {
    const plan = this.home.today.peek()?.plan;
    const patientId = this.patientId.peek();
    if (plan && patientId !== null) this.alone.begin(plan, patientId);
  }

  /** Pain in a live session: judged here at once, and told. */
  reportLivePain(value: number): void {
    this.asking.value = null;
    const training = this.training.peek();
    const patientId = this.patientId.peek();
    if (patientId !== null) {
      const body = {
        training_session_id: training?.id ?? null,
        training_set_id: null,
        kind: "pain",
        value,
        phase: "during",
        at: new Date().toISOString(),
      };
      this.send("PUT", `/api/patients/${patientId}/self-reports/${newId()}`, body, training?.id);
    }
    this.guard.observe({ pain: value }, performance.now());
  }

  /** Go on after a confirmed stop. */
  passGate(): void {
    if (!this.guard.pass()) return;
    this.alone.goOn();
    if (this.room.peek()) this.wantPause(false);
  }

  /** Out of a stop: training ends for today, whatever is still open. */
  stopForToday(): void {
    if (this.room.peek()) void this.finish("stop");
    else this.alone.stop();
  }

  private interrupt(): void {
    this.asking.value = null;
    this.alone.interrupt();
    if (this.room.peek()) this.wantPause(true);
  }

  private heedOutcome({ entry, answer, refusal }: Outcome): void {
    if (refusal?.code === STOP_UNCONFIRMED) this.guard.heedRefusal();
    if (refusal === null && isReport(entry) && isStopRead(answer)) {
      this.keepTelephone(answer.telephone);
      this.guard.heed(answer, false); // only being asked tells that a stop is over
    }
  }

  private withdrawLater(id: string): void {
    this.send("POST", `/api/help-calls/${id}/withdraw`, {}, id);
  }

  /** Kept on the browser: it is needed most when nothing can be asked. */
  keepTelephone(telephone: string | null | undefined): void {
    if (!telephone || telephone === this.telephone.peek()) return;
    this.telephone.value = telephone;
    localStorage.setItem(TELEPHONE_KEY, telephone);
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
    const room = this.room.peek();
    if (on) this.helpCaller.press(room?.liveSession ?? null, !this.isHelper.peek());
    if (!on) this.helpCaller.withdraw();
    if (!room) return;
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
        const me = await patientApi.me();
        startLanguage(me.language);
        // Known before anything of the patient is shown.
        if (me.role === "tablet") this.hasPin.value = await readHasPin();
        this.me.value = me;
        this.meReadMs = performance.now();
        this.keepTelephone(me.organisation?.help_telephone);
      }
      if (this.isHelper.peek() && this.helped.peek() === null) this.helpedPatients.value = await patientApi.helpedPatients();
      await this.renew();
      const sessions = await api.liveSessions();
      this.offered.value = sessions.find((session) => ["open", "live", "paused", "scheduled"].includes(session.state)) ?? null;
      this.unreachable.value = false;
      this.loggedIn.value = true;
      this.loaded.value = true;
      if (this.patientId.peek() !== null && !this.needsPin()) void this.home.read(this.isHelper.peek());
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        this.loggedIn.value = false;
        if (this.alone.state.peek() === null) {
          this.home.forget();
          this.me.value = null; // read anew with the next login
        }
      } else this.unreachable.value = true;
      return;
    }
    const wasSeated = this.offered.value !== null && sessionStorage.getItem(SEAT_KEY) === this.offered.value.id;
    if (wasSeated && !this.room.peek() && !this.receipt.peek()) await this.join(this.media.value ?? "none");
  }

  /** A tablet's login is renewed by asking who it is; a page that is never closed asks now and then. */
  private async renew(): Promise<void> {
    if (performance.now() - this.meReadMs < RENEW_MS || this.alone.state.peek() !== null) return;
    this.me.value = await patientApi.me();
    this.meReadMs = performance.now();
  }

  private callAgain(): void {
    const room = this.room.peek();
    if (!room || room.link.peek() === "closed") return;
    const self = room.me();
    const value = room.valueOf(this.training.peek()?.id);
    if (value && freshnessOf(value, performance.now()).freshness === "fresh") {
      this.guard.observe({ heartRate: value.entry.heartRate }, performance.now());
    }
    insist(this.helpWanted, (self?.help_since ?? null) !== null, room.help);
    insist(this.pauseWanted, (self?.paused_since ?? null) !== null, room.pause);
  }
}

/** A login that stands for no tablet has no PIN; whatever else goes wrong is asked again. */
async function readHasPin(): Promise<boolean> {
  try {
    return (await patientApi.pin()).has_pin;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 403 || error.status === 404)) return false;
    throw error;
  }
}

function isReport(entry: OutboxEntry): boolean {
  return entry.path.includes("/self-reports/");
}

function isStopRead(answer: unknown): answer is StopRead {
  return typeof answer === "object" && answer !== null && "is_stopped" in answer;
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
