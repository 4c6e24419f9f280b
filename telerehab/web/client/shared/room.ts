import { signal } from "@preact/signals";
import { largest, storeFrame, type LiveValue } from "./live_values";
import type { LiveEvent, LiveSessionState, Participant } from "./messages";
import { applyIncrement, textIncrement, type TextLine } from "./realtime_text";
import { MediaLegs, type Legs } from "./rtc";
import { LiveSocket, type ByeReason, type LinkState } from "./socket";

export { freshnessOf, HISTORY_S, type LiveValue } from "./live_values";

const TEXT_EVENTS_MAX = 2000;
/** Typed text leaves at the latest so long after the key was pressed; with the way it is seen within 500 ms. */
const TEXT_DELAY_MS = 100;

/**
 * One seat in one live session: the socket, the media and the newest values, as signals.
 *
 * Live values are not signals: they come ten times a second and are drawn by `repaint`.
 */
export class Room {
  readonly state = signal<LiveSessionState | null>(null);
  readonly link = signal<LinkState>("connecting");
  readonly bye = signal<ByeReason | null>(null);
  readonly refused = signal<string | null>(null);
  readonly legs = signal<Legs>({ publish: "off", subscribe: "off" });
  readonly streams = signal<Record<string, MediaStream>>({});
  readonly texts = signal<TextLine[]>([]);
  readonly values = new Map<string, LiveValue>();
  readonly media: MediaLegs;
  frameCount = 0;

  private readonly socket: LiveSocket;
  private textEvents: { sequence: number; participant: string; text: string }[] = [];
  private typed = "";
  private typedSent = "";
  private typingTimer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    readonly liveSession: string,
    onJoined: (room: Room) => void,
    onChanged: (table: string) => void = () => undefined,
  ) {
    this.socket = new LiveSocket(liveSession, {
      onLink: (link) => (this.link.value = link),
      onState: (state) => {
        const before = this.state.peek();
        this.state.value = state;
        if (before && before.media_epoch !== state.media_epoch) void this.media.afterNewWorker();
        this.media.retryRefused();
        this.media.expect(Object.values(state.slots ?? {}).some((participant) => this.isSending(participant)));
      },
      onEvent: (event) => this.take(event),
      onFrame: (buffer, receivedMs) => this.store(buffer, receivedMs),
      onQuality: (quality) => void this.media.steer(quality),
      onBye: (reason) => {
        this.bye.value = reason;
        this.media.close();
      },
      onJoined: (first) => {
        if (!first) void this.media.afterRejoin();
        onJoined(this);
      },
      onRefused: (code) => (this.refused.value = code),
      onChanged,
    });
    this.media = new MediaLegs(this.socket, {
      onSlot: (slot, stream) => (this.streams.value = { ...this.streams.value, [slot]: stream }),
      onLegs: (legs) => (this.legs.value = legs),
    });
  }

  start(): void {
    this.socket.start();
    addEventListener("online", this.wake);
    document.addEventListener("visibilitychange", this.wake);
  }

  /** Leave the live session; it goes on without us and the way back is open. */
  leave(): void {
    this.socket.notify("leave");
    this.close();
  }

  close(): void {
    removeEventListener("online", this.wake);
    document.removeEventListener("visibilitychange", this.wake);
    this.media.close();
    this.socket.close();
  }

  admit = (participant: string) => this.socket.request("admit", { participant });
  focus = (participant: string | null) => this.socket.request("focus", { participant });
  talkTo = (participant: string | null) => this.socket.request("talk_to", { participant });
  help = (on: boolean) => this.socket.request("help", { on });
  pause = (on: boolean) => this.socket.request("pause", { on });
  end = () => this.socket.request("end");

  /** The line that is being typed; it outlives the field, which is gone while the link is lost. */
  get draft(): string {
    return this.typed;
  }

  /** Take the whole text of the writing field; the difference is sent while it is typed. */
  type(text: string): void {
    this.typed = text;
    this.typingTimer ??= setTimeout(() => void this.sendTyped(), TEXT_DELAY_MS);
  }

  /** Close the line; what is typed meanwhile begins a new one. False when it could not be sent: put it back and try again. */
  async closeLine(): Promise<boolean> {
    const [line, before] = [this.typed, this.typedSent];
    const sending = this.sendTyped("\n");
    this.typed = this.typedSent = "";
    if (await sending) return true;
    [this.typed, this.typedSent] = [line, before];
    return false;
  }

  me(): Participant | null {
    const state = this.state.value;
    return state?.participants.find((participant) => participant.id === state.you) ?? null;
  }

  /** Return the slot name to its stream for one participant and kind, null when nobody is bound or nothing came. */
  streamOf(participant: string, kind: "audio" | "video"): MediaStream | null {
    const slots = this.state.value?.slots ?? {};
    const slot = Object.keys(slots).find((name) => name.startsWith(kind) && slots[name] === participant);
    return slot === undefined ? null : (this.streams.value[slot] ?? null);
  }

  valueOf(trainingSession: string | null | undefined): LiveValue | null {
    return trainingSession ? (this.values.get(trainingSession.toLowerCase()) ?? null) : null;
  }

  /** Return the largest range of motion seen in this live session; null when none was measured. [°] */
  largestRomDeg(): number | null {
    let result: number | null = null;
    for (const value of this.values.values()) result = largest(result, value.largestRomDeg);
    return result;
  }

  private readonly wake = () => {
    if (document.visibilityState === "visible") this.socket.wake();
  };

  private isSending(participant: string | null): boolean {
    const source = this.state.value?.participants.find((candidate) => candidate.id === participant);
    return source !== undefined && source.link !== "lost" && (source.publishes.audio || source.publishes.video);
  }

  private store(buffer: ArrayBuffer, receivedMs: number): void {
    if (storeFrame(this.values, buffer, receivedMs)) this.frameCount += 1;
  }

  private take(event: LiveEvent): void {
    if (event.kind !== "text") return;
    const participant = String(event.data["participant"] ?? event.data["from"] ?? "");
    this.textEvents.push({ sequence: event.sequence, participant, text: String(event.data["text"] ?? "") });
    this.textEvents.sort((one, other) => one.sequence - other.sequence);
    this.textEvents = this.textEvents.slice(-TEXT_EVENTS_MAX);
    let lines: TextLine[] = [];
    for (const { participant: from, text } of this.textEvents) lines = applyIncrement(lines, from, text);
    this.texts.value = lines;
  }

  private async sendTyped(end = ""): Promise<boolean> {
    if (this.typingTimer !== null) clearTimeout(this.typingTimer);
    this.typingTimer = null;
    const before = this.typedSent;
    const typed = this.typed;
    const increment = textIncrement(before, typed) + end;
    if (increment === "") return true;
    this.typedSent = typed;
    try {
      await this.socket.request("text", { text: increment });
      return true;
    } catch {
      if (this.typedSent === typed) this.typedSent = before; // goes out with the next key
      return false;
    }
  }
}
