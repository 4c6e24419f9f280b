import { answerProbe, asBackfill, encodeFrame, FLAG_CLIPPED, FLAG_CLOCK_PROBED, HEADER_BYTES, KIND, linkMessage, type Block, type LinkMessage } from "./frame";

/**
 * What a device does with its blocks (`docs/protocol.md` sections 3, 4, 6, 7): number, keep, send, send again, free.
 *
 * Pure: time and messages come in, messages and wishes to the store go out. A frame is kept until a watermark has passed
 * it; nothing else frees it, least of all that it was sent.
 */

export const STREAM = "imu";
export const RESEND_AFTER_MS = 1500;
export const RESEND_CREDIT = 20;
/** While a whole round has freed nothing: enough for an answer, should somebody be there again. */
export const RESEND_CREDIT_SILENT = 2;
export const ROUND_ANSWERED_MS = 250;
export const STATE_EVERY_MS = 15_000;
export const STATE_AT_MOST_EVERY_MS = 1000;
/** Kept frames with no acknowledgement for so long: the link is opened anew (L6). */
export const DEAF_AFTER_MS = 5000;
/** About four hours at 60 Hz, 15 MB. */
export const KEPT_MAX = 90_000;
/** A state names at most 64 boots (S3); this boot is one of them. */
export const OLD_BOOTS_MAX = 63;
const BLOCK_SAMPLES_MAX = 500;
const PROBES_FOR_CLOCK_FLAG = 5;

export interface Kept {
  readonly boot: number;
  readonly sequence: number;
  readonly frame: Uint8Array;
  /** null: not sent yet on this page, or asked for again. [ms] */
  sentMs: number | null;
}

/** What the shell shall do; in this order. */
export type Wish =
  | { readonly do: "send"; readonly message: Uint8Array }
  | { readonly do: "free"; readonly boot: number; readonly below: number }
  /** Forget every frame, take a new boot, and tell `restart`. */
  | { readonly do: "wipe" }
  | { readonly do: "sample"; readonly on: boolean }
  | { readonly do: "size"; readonly samples: number };

export interface Tally {
  /** Samples in frames that a watermark has covered. */
  storedSamples: number;
  /** Samples in frames that are kept. */
  keptSamples: number;
  /** Frames given up because too much was kept. */
  dropped: number;
}

const text = new TextEncoder();

export class Firmware {
  readonly tally: Tally = { storedSamples: 0, keptSamples: 0, dropped: 0 };
  private readonly kept = new Map<string, Kept>(); // oldest first
  private nextSequence = 0;
  private probeCount = 0;
  private keptBytes = 0;
  private isConnected = false;
  private answeredMs = -Infinity;
  private freedMs = -Infinity;
  private isUnheard = false;
  private isAsked = false;
  private nextRoundMs = 0;
  private stateMs = -Infinity;
  private isStateDue = false;
  private silentSinceMs = Infinity;

  constructor(
    private boot: number,
    found: readonly Omit<Kept, "sentMs">[] = [],
    private readonly keptMax = KEPT_MAX,
  ) {
    for (const each of [...found].sort((left, right) => left.boot - right.boot || left.sequence - right.sequence)) this.remember({ ...each, sentMs: null });
  }

  get keptCount(): number {
    return this.kept.size;
  }

  /** Give a block its number. The shell writes it down before it hands it to `keep`: what is not kept is never sent. */
  number(block: Block): Kept {
    const key = { boot: this.boot, sequence: this.nextSequence };
    this.nextSequence += 1;
    const flags = (this.probeCount >= PROBES_FOR_CLOCK_FLAG ? FLAG_CLOCK_PROBED : 0) | (block.isClipped ? FLAG_CLIPPED : 0);
    return { ...key, frame: encodeFrame(key, block, flags), sentMs: null };
  }

  /** Keep a numbered frame, and send it where there is a link; of too many the oldest go. */
  keep(kept: Kept, nowMs: number, hasRoom: boolean): Wish[] {
    const wishes = this.giveUp(1);
    this.remember(kept);
    if (this.isConnected && hasRoom) {
      kept.sentMs = nowMs;
      wishes.push(send(KIND.live, kept.frame, STREAM));
    }
    return wishes;
  }

  /** Give up what the store cannot hold from the start: the boots that a state could not name. */
  trim(): Wish[] {
    const boots = [...new Set([...this.kept.values()].map((each) => each.boot))].filter((boot) => boot !== this.boot);
    const wishes: Wish[] = [];
    for (const boot of boots.slice(0, Math.max(0, boots.length - OLD_BOOTS_MAX))) {
      this.tally.dropped += this.forget(boot, Infinity).frames;
      wishes.push({ do: "free", boot, below: Infinity });
    }
    return [...wishes, ...this.giveUp(0)];
  }

  /** The link stands: state first (K5), then meta (see `describe`); what is kept follows in rounds. */
  connected(meta: unknown, nowMs: number): Wish[] {
    this.isConnected = true;
    this.nextRoundMs = nowMs;
    this.isUnheard = false;
    this.silentSinceMs = nowMs;
    return [this.state(nowMs), ...this.describe(meta)];
  }

  /** Say what the stream is; null while the native rate is not known, and then no frame of this boot exists either. */
  describe(meta: unknown): Wish[] {
    return this.isConnected && meta !== null ? [{ do: "send", message: linkMessage(KIND.meta, text.encode(JSON.stringify(meta))) }] : [];
  }

  disconnected(): void {
    this.isConnected = false;
  }

  /** Has nothing been acknowledged for so long that the link must be deaf? */
  isDeaf(nowMs: number): boolean {
    return this.isConnected && this.kept.size > 0 && nowMs - Math.max(this.answeredMs, this.silentSinceMs) >= DEAF_AFTER_MS;
  }

  /** Act on a message of the server; what is not understood is ignored (C1). */
  received(message: LinkMessage, nowMs: number, nowUs: () => number): Wish[] {
    if (message.kind === KIND.clock) return this.answer(message.payload, nowUs);
    const content = parse(message.payload);
    if (message.kind === KIND.ack) return this.acknowledge(content, nowMs);
    if (message.kind !== KIND.command || typeof content !== "object" || content === null) return [];
    return this.obey(message.name, content as Record<string, unknown>);
  }

  /** What is due: the state, and a round of frames that no watermark has covered in time (A4), oldest first. */
  tend(nowMs: number, hasRoom: boolean): Wish[] {
    if (!this.isConnected) return [];
    const wishes: Wish[] = [];
    const sinceStateMs = nowMs - this.stateMs;
    if (sinceStateMs >= STATE_EVERY_MS || (this.isStateDue && sinceStateMs >= STATE_AT_MOST_EVERY_MS)) wishes.push(this.state(nowMs));
    if (hasRoom && nowMs >= this.nextRoundMs) wishes.push(...this.round(nowMs));
    return wishes;
  }

  /** Begin again after a wipe, under a boot of its own: the server learns that nothing of the old ones will come (S4). */
  restart(boot: number, nowMs: number): Wish[] {
    this.boot = boot;
    this.nextSequence = 0;
    this.kept.clear();
    this.keptBytes = 0;
    this.tally.keptSamples = 0;
    return this.isConnected ? [this.state(nowMs)] : [];
  }

  private remember(kept: Kept): void {
    this.kept.set(keyOf(kept.boot, kept.sequence), kept);
    this.keptBytes += kept.frame.length;
    this.tally.keptSamples += samplesOf(kept.frame);
  }

  /** Forget the frames of a boot below a sequence; return how many samples and frames they were. */
  private forget(boot: number, below: number): { frames: number; samples: number } {
    const gone = { frames: 0, samples: 0 };
    for (const [key, each] of this.kept) {
      if (each.boot !== boot) continue;
      if (each.sequence >= below) break; // of one boot the oldest come first, and no other boot lies between
      this.kept.delete(key);
      this.keptBytes -= each.frame.length;
      gone.frames += 1;
      gone.samples += samplesOf(each.frame);
    }
    this.tally.keptSamples -= gone.samples;
    return gone;
  }

  private giveUp(coming: number): Wish[] {
    const wishes: Wish[] = [];
    while (this.kept.size + coming > this.keptMax) {
      const oldest = this.kept.values().next().value as Kept;
      this.tally.dropped += this.forget(oldest.boot, oldest.sequence + 1).frames;
      this.isStateDue = true;
      wishes.push({ do: "free", boot: oldest.boot, below: oldest.sequence + 1 });
    }
    return wishes;
  }

  private state(nowMs: number): Wish {
    this.stateMs = nowMs;
    this.isStateDue = false;
    const oldest = new Map<number, number>();
    for (const each of this.kept.values()) if (!oldest.has(each.boot)) oldest.set(each.boot, each.sequence);
    const state = {
      online: true,
      boot: this.boot,
      kept: [...oldest].map(([boot, sequence]) => [boot, STREAM, sequence]),
      bytes_kept: this.keptBytes,
      dropped: this.tally.dropped,
    };
    return { do: "send", message: linkMessage(KIND.state, text.encode(JSON.stringify(state))) };
  }

  private round(nowMs: number): Wish[] {
    const credit = this.isUnheard ? RESEND_CREDIT_SILENT : RESEND_CREDIT;
    const wishes: Wish[] = [];
    const all = [...this.kept.values()];
    const asked = this.isAsked ? all.filter((each) => each.sentMs === null) : [];
    this.isAsked = asked.length > credit;
    for (const kept of [...asked, ...all]) {
      if (wishes.length === credit) break;
      if (kept.sentMs !== null && nowMs - kept.sentMs < RESEND_AFTER_MS) continue;
      kept.sentMs = nowMs;
      wishes.push(send(KIND.backfill, asBackfill(kept.frame), STREAM));
    }
    const isAnswered = nowMs - this.freedMs < RESEND_AFTER_MS;
    this.isUnheard = wishes.length > 0 && !isAnswered;
    this.nextRoundMs = nowMs + (this.isUnheard ? RESEND_AFTER_MS : ROUND_ANSWERED_MS);
    return wishes;
  }

  private acknowledge(content: unknown, nowMs: number): Wish[] {
    const wishes: Wish[] = [];
    for (const entry of Array.isArray(content) ? content : []) {
      if (!Array.isArray(entry) || !isCount(entry[0]) || entry[1] !== STREAM || !isCount(entry[2])) continue;
      const [boot, , below] = entry as [number, string, number];
      this.answeredMs = nowMs;
      const gone = this.forget(boot, below);
      if (gone.frames > 0) {
        this.freedMs = nowMs; // who tells what is known already may be unable to store anything
        this.isUnheard = false;
        this.nextRoundMs = Math.min(this.nextRoundMs, nowMs + ROUND_ANSWERED_MS);
      }
      this.tally.storedSamples += gone.samples;
      if (gone.frames > 0) wishes.push({ do: "free", boot, below });
      if (gone.frames > 0 && boot !== this.boot) this.isStateDue = true; // an old boot may be settled now
    }
    return wishes;
  }

  private answer(payload: Uint8Array, nowUs: () => number): Wish[] {
    const answer = answerProbe(payload, nowUs(), nowUs);
    if (answer === null) return [];
    this.probeCount += 1;
    return [{ do: "send", message: linkMessage(KIND.clock, answer) }];
  }

  private obey(command: string, content: Record<string, unknown>): Wish[] {
    if (command === "wipe") return [{ do: "wipe" }];
    if (content["stream"] !== STREAM) return [];
    if (command === "start" || command === "stop") return [{ do: "sample", on: command === "start" }];
    const samples = content["n"];
    if (command === "rate" && isCount(samples) && samples >= 1 && samples <= BLOCK_SAMPLES_MAX) return [{ do: "size", samples }];
    if (command === "resend") this.askAgain(content);
    return [];
  }

  private askAgain(content: Record<string, unknown>): void {
    const { boot, from, to, credit } = content;
    if (!isCount(boot) || !isCount(from) || !isCount(to)) return;
    let left = isCount(credit) ? credit : RESEND_CREDIT;
    for (const kept of this.kept.values()) {
      if (left === 0) break;
      if (kept.boot !== boot || kept.sequence < from || kept.sequence >= to) continue;
      kept.sentMs = null;
      this.isAsked = true;
      this.isUnheard = false;
      this.nextRoundMs = -Infinity;
      left -= 1;
    }
  }
}

function send(kind: number, payload: Uint8Array, name: string): Wish {
  return { do: "send", message: linkMessage(kind, payload, name) };
}

function samplesOf(frame: Uint8Array): number {
  return (frame.length - HEADER_BYTES) / 12;
}

function keyOf(boot: number, sequence: number): string {
  return `${boot} ${sequence}`;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}

function parse(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return null;
  }
}
