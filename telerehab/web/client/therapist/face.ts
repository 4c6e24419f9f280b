import { computed, effect, signal } from "@preact/signals";
import { api, ApiError, newId, type LiveSessionSummary, type Me, type TrainingSessionWrite } from "../shared/api";
import { exerciseOf } from "../shared/codes";
import { startLanguage, type TextKey } from "../shared/i18n";
import { isPresent, type Participant } from "../shared/messages";
import { rememberChoice, rememberedChoice } from "../shared/own_media";
import { OwnTracksSwitch, type Device, type Wish } from "../shared/own_tracks";
import { freshnessOf, Room } from "../shared/room";
import { slotCount } from "../shared/rtc";
import { playTone } from "../shared/tone";
import { listenForChanges } from "./alerts/changes";
import { SafetyWatch } from "./alerts/watch";
import { keepPlaces, NeedsList, type Need } from "./needs";
import { routeOf, type Route } from "./route";
import type { Person } from "./types";

const LOOK_AGAIN_MS = 3000;
/** Numbers and words are renewed four times a second; curves and pictures are drawn by themselves. */
const TICK_MS = 250;

/** What the therapist's page knows and does; the views only show it. */
export class TherapistFace {
  readonly me = signal<Me | null>(null);
  readonly loggedIn = signal(true);
  readonly problem = signal<TextKey | null>(null);
  readonly sessions = signal<LiveSessionSummary[] | null>(null);
  /** Those in the therapist's care. */
  readonly patients = signal<Person[] | null>(null);
  readonly route = signal<Route>({ page: "caseload" });
  readonly visit = signal<Visit | null>(null);
  readonly safety = new SafetyWatch();
  /** Counts up when the server says that a table has changed; a page that shows it reads it again. */
  readonly changes = signal<Record<string, number>>({});

  private stopListening: (() => void) | null = null;

  start(): void {
    void this.look();
    setInterval(() => void this.look(), LOOK_AGAIN_MS);
    addEventListener("hashchange", () => this.follow());
    this.follow();
  }

  private hear(table: string): void {
    if (table === "alert" || table === "help_call") void this.safety.read();
    this.changes.value = { ...this.changes.peek(), [table]: (this.changes.peek()[table] ?? 0) + 1 };
  }

  async create(title: string, patientIds: string[], training: { exercise: string; side: string } | null): Promise<void> {
    try {
      const made = await api.createLiveSession(title, patientIds);
      if (training) {
        await Promise.all(patientIds.map((patient_id) => begin({ ...training, patient_id, live_session_id: made.id, ...targetOf(training.exercise) })));
      }
      this.problem.value = null;
      location.hash = `#/live/${made.id}`;
    } catch (error) {
      this.problem.value = problemText(error);
    }
  }

  async logOut(): Promise<void> {
    await api.logOut().catch(() => null);
    location.assign("/enter");
  }

  /** Enter the room that the address names, or leave it. */
  private follow(): void {
    const route = routeOf(location.hash);
    const before = this.route.peek();
    this.route.value = route;
    const id = route.page === "room" ? route.id : null;
    this.listen();
    if (this.visit.peek()?.id === id) return;
    this.visit.peek()?.close();
    this.visit.value = id === null ? null : new Visit(id, (table) => this.hear(table));
    if (id === null && before.page === "room") void this.look();
  }

  /** The login has one socket: the live room's, else one of our own. */
  private listen(): void {
    const wanted = this.route.peek().page !== "room" && this.me.peek() !== null;
    if (!wanted) {
      this.stopListening?.();
      this.stopListening = null;
    } else this.stopListening ??= listenForChanges((table) => this.hear(table));
  }

  private async look(): Promise<void> {
    if (this.visit.peek() && this.me.peek()) return;
    try {
      if (this.me.peek() === null) {
        const me = await api.me();
        startLanguage(me.language);
        this.me.value = me;
        this.safety.start();
        this.listen();
      }
      const [sessions, patients] = await Promise.all([api.liveSessions(), api.patients()]);
      this.sessions.value = sessions.filter((session) => !["ended", "archived", "cancelled", "no_show"].includes(session.state));
      this.patients.value = patients;
      if (this.problem.peek() === "error.unreachable") this.problem.value = null;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        this.loggedIn.value = false;
        this.safety.stop();
        this.stopListening?.();
      } else this.problem.value = problemText(error);
    }
  }
}

/** One visit to one live room. */
export class Visit {
  readonly room: Room;
  readonly tick = signal(performance.now());
  readonly needs = signal<Need[]>([]);
  readonly places = signal<string[]>([]);
  readonly focus = signal<string | null>(null);
  readonly microphone = signal(false);
  readonly camera = signal(false);
  readonly ownStream = signal<MediaStream | null>(null);
  readonly mediaRefused = signal(false);
  readonly soundBlocked = signal<(() => void)[]>([]);
  readonly question = signal<"leave" | "end" | null>(null);
  readonly announcement = signal<{ name: string; kind: Need["kind"] } | null>(null);
  readonly problem = signal<TextKey | null>(null);

  readonly patients = computed<Participant[]>(() => {
    const all = this.room.state.value?.participants ?? [];
    return all.filter((participant) => participant.role === "patient");
  });
  readonly focused = computed<Participant | null>(() => this.patients.value.find((patient) => patient.id === this.focus.value) ?? null);
  readonly talkTo = computed<string | null>(() => this.room.state.value?.talk_to ?? null);

  private readonly ownTracks = new OwnTracksSwitch(
    (device) => this.open(device),
    (on, changed) => this.send(on, changed),
  );
  private readonly needsList = new NeedsList(performance.now());
  private readonly lookedAtMs = new Map<string, number>();
  private readonly timer: ReturnType<typeof setInterval>;
  private readonly stops: (() => void)[] = [];
  private focusRestored = false;

  constructor(
    readonly id: string,
    onChanged: (table: string) => void,
  ) {
    this.room = new Room(id, () => undefined, onChanged);
    this.timer = setInterval(() => this.renew(), TICK_MS);
    this.stops.push(
      effect(() => {
        const patients = this.patients.value;
        const places = keepPlaces(this.places.peek(), patients);
        if (places.join() !== this.places.peek().join()) this.places.value = places;
      }),
      effect(() => {
        const self = this.room.me();
        if (!self || !isPresent(self)) return;
        const slots = slotCount(this.patients.value.length);
        queueMicrotask(() => void this.room.media.subscribe({ audio: slots, video: slots }));
        if (this.focusRestored) return;
        this.focusRestored = true;
        const focus = firstFocus(this.room.state.value?.focus ?? null, this.patients.value);
        if (focus === (this.room.state.value?.focus ?? null)) this.focus.value = focus;
        else queueMicrotask(() => this.look(focus));
        // Camera and microphone that were on last time come back on; one that was refused is not asked for again.
        const choice = rememberedChoice();
        if (choice === "both" || choice === "audio") queueMicrotask(() => this.useMedia({ microphone: true, camera: choice === "both" }));
      }),
    );
    this.room.start();
  }

  look(participant: string | null): void {
    this.focus.value = participant;
    this.room.focus(participant).catch(() => undefined); // the picture is large here even if the server cannot sharpen it
  }

  async ask(act: () => Promise<unknown>): Promise<void> {
    try {
      await act();
      this.problem.value = null;
    } catch (error) {
      this.problem.value = problemText(error);
    }
  }

  /** Turn microphone and camera on or off. Called by the therapist's own hand, or with what worked last time. */
  useMedia(wish: Partial<Wish>): void {
    this.ownTracks.set(wish);
  }

  beginExercise(patient: Participant, training: Omit<TrainingSessionWrite, "patient_id" | "live_session_id">): Promise<void> {
    return this.ask(async () => {
      if (patient.patient_id === null) return;
      if (patient.training_session) await api.closeTrainingSession(patient.training_session.id, "done");
      await begin({ ...training, patient_id: patient.patient_id, live_session_id: this.id });
    });
  }

  leave(): void {
    this.room.leave();
    location.hash = "#/sessions";
  }

  close(): void {
    clearInterval(this.timer);
    for (const stop of this.stops) stop();
    this.ownTracks.close();
    this.room.close();
  }

  private send(on: Wish, changed: boolean): void {
    this.microphone.value = on.microphone;
    this.camera.value = on.camera;
    rememberChoice(on.camera ? "both" : on.microphone ? "audio" : "none");
    if (!changed) return;
    const { microphone, camera } = this.ownTracks.tracks;
    const tracks = [microphone, camera].filter((track) => track !== null);
    const stream = tracks.length > 0 ? new MediaStream(tracks) : null;
    this.ownStream.value = stream;
    void this.room.media.publish(stream);
  }

  private async open(device: Device): Promise<MediaStreamTrack | null> {
    const wanted = device === "microphone" ? { audio: { echoCancellation: true } } : { video: { width: { ideal: 640 }, height: { ideal: 480 } } };
    try {
      const stream = await navigator.mediaDevices.getUserMedia(wanted);
      this.mediaRefused.value = false;
      return stream.getTracks()[0] ?? null;
    } catch {
      this.mediaRefused.value = true;
      return null;
    }
  }

  private renew(): void {
    const nowMs = performance.now();
    this.tick.value = nowMs;
    const focus = this.focus.peek();
    if (focus) this.lookedAtMs.set(focus, nowMs);
    const snapshots = this.patients.peek().map((participant) => {
      const value = this.room.valueOf(participant.training_session?.id);
      const { freshness } = freshnessOf(value, nowMs);
      return { participant, entry: value?.entry ?? null, freshness, lookedAtMs: this.lookedAtMs.get(participant.id) ?? null };
    });
    const before = this.needs.peek();
    const needs = this.needsList.update(snapshots, nowMs);
    const fresh = needs.find((need) => !before.some((old) => old.participant === need.participant && old.kind === need.kind));
    if (fresh && (fresh.kind === "help" || fresh.kind === "waiting" || fresh.kind === "link_lost")) {
      this.announcement.value = { name: fresh.name, kind: fresh.kind };
      if (fresh.kind === "help") playTone(740, 0.6);
    }
    this.needs.value = needs;
  }
}

export function problemText(error: unknown): TextKey {
  if (error instanceof ApiError && error.status === 0) return "error.unreachable";
  if (error instanceof ApiError && (error.status === 403 || error.status === 404)) return "error.forbidden";
  return "error.unknown";
}

/** A first target zone for an exercise; the therapist changes it per patient. [°] */
export function targetOf(exercise: string): { target_low_deg: number | null; target_high_deg: number | null; target_repetitions: number | null } {
  const zone = exerciseOf(exercise)?.targetDeg;
  return { target_low_deg: zone?.[0] ?? null, target_high_deg: zone?.[1] ?? null, target_repetitions: 10 };
}

/** Whom to show large on coming in: whoever was, else the first patient who is here, else the first of all. */
export function firstFocus(focus: string | null, patients: readonly Participant[]): string | null {
  return focus ?? (patients.find(isPresent) ?? patients[0])?.id ?? null;
}

function begin(training: TrainingSessionWrite): Promise<unknown> {
  return api.putTrainingSession(newId(), training);
}
