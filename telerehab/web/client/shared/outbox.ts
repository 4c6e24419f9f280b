import { signal } from "@preact/signals";
import { ApiError, call } from "./api";

/**
 * What shall reach the server, kept on this browser until the server has it.
 *
 * Every write carries an id that this page made, so that a second sending is the same write. Entries of one group leave
 * in their order; a group that waits does not hold up the others.
 */
export interface OutboxEntry {
  /** Whose tablet wrote it: never sent under another login. */
  owner: string;
  /** What must keep its order, as the id of a training session. */
  group: string;
  method: "PUT" | "POST" | "DELETE";
  path: string;
  body: unknown;
}

/** Where entries survive a reload; `localStorage` in a browser. Each entry has a key of its own: no tab overwrites another's. */
export interface OutboxStore {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

export interface OutboxWorld {
  store: OutboxStore;
  send(entry: OutboxEntry): Promise<unknown>;
  after(delayMs: number, run: () => void): () => void;
}

/** What became of one entry: delivered with the server's answer, refused for good, or refused until a stop is confirmed. */
export interface Outcome {
  entry: OutboxEntry;
  answer: unknown;
  refusal: ApiError | null;
}

/** The server lets nobody train before somebody has confirmed a stop; afterwards the same write succeeds. */
export const STOP_UNCONFIRMED = "stop_unconfirmed";

export const OUTBOX_PREFIX = "telerehab.outbox.";
export const ENTRIES_MAX = 2000;
export const RETRY_FIRST_MS = 1000;
export const RETRY_MAX_MS = 15_000;
const DIGITS = 9;

/** Answers after which the same write may succeed later: no link, no login, too early, too many, the server's own fault. */
export function isPassing({ status, code }: ApiError): boolean {
  if (code === STOP_UNCONFIRMED) return true;
  return status === 0 || status === 401 || status === 408 || status === 425 || status === 429 || status >= 500;
}

export class Outbox {
  /** How many entries wait. */
  readonly waiting = signal(0);
  /** How many entries the server refused for good since the page was opened. */
  readonly refusedCount = signal(0);
  /** The last pass ended with something undelivered. */
  readonly isBlocked = signal(false);
  private owner: string | null = null;
  private readonly memory = new Map<string, OutboxEntry>();
  private number = 0;
  private isSending = false;
  private isWanted = false;
  private failures = 0;
  private stopTimer: (() => void) | null = null;

  constructor(
    private readonly onOutcome: (outcome: Outcome) => void = () => undefined,
    private readonly world: OutboxWorld = browserWorld(),
  ) {
    this.read();
  }

  /** Send for this owner from now on; what others left on this browser stays where it is. */
  start(owner: string): void {
    this.owner = owner;
    this.count();
    void this.flush();
  }

  /** Keep an entry, then try to deliver. When the browser's store is full it is kept in memory all the same. */
  put(entry: OutboxEntry): void {
    this.number += 1;
    const key = `${OUTBOX_PREFIX}${String(this.number).padStart(DIGITS, "0")}`;
    if (this.memory.size >= ENTRIES_MAX) throw new Error("outbox full");
    this.memory.set(key, entry);
    try {
      this.world.store.setItem(key, JSON.stringify(entry));
    } catch {
      // no room: a reload would lose it, an open page does not
    }
    this.count();
    void this.flush();
  }

  /** Does anything of this kind still wait, or is it on its way? */
  isWaitingFor(isOfKind: (entry: OutboxEntry) => boolean): boolean {
    return [...this.memory.values()].some((entry) => entry.owner === this.owner && isOfKind(entry));
  }

  /** Deliver what waits, in order. Called again by itself until nothing is left; call it when the link is back. */
  async flush(): Promise<void> {
    this.isWanted = true;
    if (this.isSending) return;
    this.isSending = true;
    try {
      while (this.isWanted) {
        this.isWanted = false;
        await this.pass();
      }
    } finally {
      this.isSending = false;
    }
  }

  private async pass(): Promise<void> {
    this.stopTimer?.();
    this.stopTimer = null;
    const held = new Set<string>();
    for (const [key, entry] of [...this.memory]) {
      if (entry.owner !== this.owner || held.has(entry.group)) continue;
      let outcome: Outcome;
      try {
        outcome = { entry, answer: await this.world.send(entry), refusal: null };
      } catch (error) {
        const refusal = error instanceof ApiError ? error : new ApiError(0, "unknown");
        if (isPassing(refusal)) {
          held.add(entry.group);
          if (refusal.code === STOP_UNCONFIRMED) this.onOutcome({ entry, answer: null, refusal });
          if (refusal.status === 0 || refusal.status === 401) break; // no link, no login: the next would not fare better
          continue;
        }
        outcome = { entry, answer: null, refusal };
        this.refusedCount.value += 1;
      }
      this.memory.delete(key);
      this.world.store.removeItem(key);
      this.count();
      this.onOutcome(outcome);
    }
    this.isBlocked.value = held.size > 0;
    this.failures = held.size > 0 ? this.failures + 1 : 0;
    if (held.size > 0) {
      const delayMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(this.failures - 1, 10));
      this.stopTimer = this.world.after(delayMs, () => void this.flush());
    }
  }

  private read(): void {
    const keys = Array.from({ length: this.world.store.length }, (_, index) => this.world.store.key(index) ?? "");
    for (const key of keys.filter((candidate) => candidate.startsWith(OUTBOX_PREFIX)).sort()) {
      const entry = parse(this.world.store.getItem(key));
      if (entry) this.memory.set(key, entry);
      else this.world.store.removeItem(key);
      this.number = Math.max(this.number, Number(key.slice(OUTBOX_PREFIX.length)) || 0);
    }
  }

  private count(): void {
    this.waiting.value = [...this.memory.values()].filter((entry) => entry.owner === this.owner).length;
  }
}

function parse(text: string | null): OutboxEntry | null {
  try {
    const entry = JSON.parse(text ?? "") as Partial<OutboxEntry> | null;
    const isWhole = [entry?.owner, entry?.group, entry?.method, entry?.path].every((part) => typeof part === "string");
    return isWhole ? (entry as OutboxEntry) : null;
  } catch {
    return null;
  }
}

function browserWorld(): OutboxWorld {
  return {
    store: localStorage,
    send: (entry) => call(entry.method, entry.path, entry.body ?? undefined),
    after: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
  };
}
