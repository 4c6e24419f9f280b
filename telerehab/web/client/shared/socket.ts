import type { LiveEvent, LiveSessionState, Quality } from "./messages";

export const PING_MS = 1000;
/** No answer for so long: people are told that the link is lost. */
export const LINK_LOST_MS = 3000;
/** No answer for so long: the socket itself is given up and opened anew. */
export const SOCKET_KEPT_MS = 15_000;
export const BACKOFF_FIRST_MS = 300;
export const BACKOFF_MAX_MS = 4000;
/** A socket that has not opened by then is given up; the next one may find a server that is back. */
export const OPENING_MAX_MS = 5000;
const REQUEST_TIMEOUT_MS = 15_000;
const REQUESTS_MAX = 64;
const REPLAY_PAGES_MAX = 40;
const REPORT_MS = 5000;

export type ByeReason = "replaced" | "ended" | "revoked" | string;
export type LinkState = "connecting" | "open" | "lost" | "closed";

export interface SocketHandlers {
  onLink(link: LinkState): void;
  onState(state: LiveSessionState): void;
  onEvent(event: LiveEvent): void;
  onFrame(buffer: ArrayBuffer, receivedMs: number): void;
  onQuality(quality: Quality): void;
  onBye(reason: ByeReason): void;
  /** The seat was taken (again): `first` is false after a reconnect. */
  onJoined(first: boolean): void;
  /** The server refused the seat and will go on refusing it. */
  onRefused(code: string): void;
  /** Rows of a table that this login may see have changed: read them again. */
  onChanged?(table: string): void;
}

/** What the socket needs from the world; in tests all of it is handed in. */
export interface SocketWorld {
  open(): WebSocket;
  nowMs(): number;
  after(delayMs: number, run: () => void): () => void;
  random(): number;
  newId(): string;
}

export class RequestError extends Error {
  constructor(readonly code: string) {
    super(code);
  }
}

interface Pending {
  resolve(reply: Record<string, unknown>): void;
  reject(error: RequestError): void;
  stop(): void;
}

/** Return how long to wait before the given try (0 = first), with a jitter so that screens do not come back in step. */
export function backoffMs(attempt: number, random: number): number {
  return Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, 10)) * (0.6 + 0.4 * random);
}

/** Answers to `join` after which asking again cannot help. */
const FINAL_CODES = ["not_found", "forbidden", "not_allowed", "unknown_participant", "ended", "revoked"];

/**
 * The login's one WebSocket, holding a seat in one live session.
 *
 * It opens itself again after every loss, takes the same seat and asks for the events it missed. It stops for good only
 * when told `bye` (replaced by a newer page of the same login, revoked, ended) or closed.
 */
export class LiveSocket {
  private socket: WebSocket | null = null;
  private attempt = 0;
  private joinedOnce = false;
  private isJoined = false;
  /** Everything up to here was received; what came while a replay was running counts when the replay is complete. */
  private lastSequence = 0;
  private readonly seen = new Set<number>();
  private heardMs = 0;
  private openedMs = 0;
  private reportedMs = -Infinity;
  private link: LinkState = "connecting";
  private stopTimers: (() => void)[] = [];
  private readonly pending = new Map<string, Pending>();

  constructor(
    readonly liveSession: string,
    private readonly handlers: SocketHandlers,
    private readonly world: SocketWorld = browserWorld(),
  ) {}

  start(): void {
    this.heardMs = this.world.nowMs();
    this.open();
  }

  close(): void {
    this.setLink("closed");
    this.drop();
  }

  /** Send without waiting for an answer; silently nothing when the link is down (newest state wins after the rejoin). */
  notify(type: string, fields: Record<string, unknown> = {}): void {
    this.send({ type, id: this.world.newId(), ...fields });
  }

  /** Send and wait for the reply. Rejects with `RequestError` when refused, not joined or not answered. */
  request(type: string, fields: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    if (this.pending.size >= REQUESTS_MAX) return Promise.reject(new RequestError("too_many_requests"));
    const id = this.world.newId();
    return new Promise((resolve, reject) => {
      const stop = this.world.after(REQUEST_TIMEOUT_MS, () => this.settle(id, (entry) => entry.reject(new RequestError("timeout"))));
      this.pending.set(id, { resolve, reject, stop });
      if (!this.send({ type, id, ...fields })) this.settle(id, (entry) => entry.reject(new RequestError("not_connected")));
    });
  }

  private open(): void {
    if (this.link === "closed") return;
    const socket = this.world.open();
    this.socket = socket;
    this.openedMs = this.world.nowMs();
    this.isJoined = false;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => void this.join();
    socket.onmessage = (message: MessageEvent<string | ArrayBuffer>) => this.receive(message.data);
    socket.onclose = () => {
      if (this.socket === socket) this.reopen();
    };
    this.stopTimers.push(
      this.world.after(PING_MS, () => this.beat()),
      this.world.after(OPENING_MAX_MS, () => {
        if (this.socket === socket && socket.readyState === 0) this.reopen();
      }),
    );
  }

  private async join(): Promise<void> {
    const socket = this.socket;
    try {
      await this.request("join");
    } catch (error) {
      const code = error instanceof RequestError ? error.code : "unknown";
      if (this.socket !== socket) return;
      if (FINAL_CODES.includes(code)) {
        this.close();
        this.handlers.onRefused(code);
      } else this.reopen();
      return;
    }
    if (this.socket !== socket) return;
    const first = !this.joinedOnce;
    this.joinedOnce = true;
    this.isJoined = true;
    this.attempt = 0;
    this.setLink("open");
    void this.replay();
    this.handlers.onJoined(first);
  }

  private async replay(): Promise<void> {
    try {
      for (let page = 0; page < REPLAY_PAGES_MAX; page += 1) {
        const reply = await this.request("replay", { after: this.lastSequence });
        if (typeof reply["sequence"] === "number") this.lastSequence = Math.max(this.lastSequence, reply["sequence"]);
        if (reply["complete"] !== false) break;
      }
      for (const sequence of this.seen) this.lastSequence = Math.max(this.lastSequence, sequence);
    } catch {
      // not answered: asked again after the next join
    }
  }

  private beat(): void {
    const silentMs = this.world.nowMs() - this.heardMs;
    if (silentMs > LINK_LOST_MS && this.link === "open") this.setLink("lost");
    if (this.socketSilentMs() > SOCKET_KEPT_MS) {
      this.reopen();
      return;
    }
    this.sendText({ type: "ping", t: this.world.nowMs() });
    this.stopTimers = [this.world.after(PING_MS, () => this.beat())];
  }

  /** How long this very socket has been silent; the server itself may be silent for longer. */
  private socketSilentMs(): number {
    return this.world.nowMs() - Math.max(this.heardMs, this.openedMs);
  }

  private receive(data: string | ArrayBuffer): void {
    this.heardMs = this.world.nowMs();
    if (this.link === "lost" && this.isJoined) this.setLink("open");
    if (typeof data !== "string") {
      this.handlers.onFrame(data, this.heardMs);
      return;
    }
    const message = parse(data);
    if (message) this.dispatch(message);
  }

  private dispatch(message: Record<string, unknown>): void {
    switch (message["type"]) {
      case "reply":
        this.settle(String(message["re"]), (entry) => entry.resolve(message));
        break;
      case "error":
        this.settle(String(message["re"]), (entry) => entry.reject(new RequestError(String(message["code"]))));
        break;
      case "state":
        this.handlers.onState(message["live_session"] as LiveSessionState);
        break;
      case "pong":
        this.report(this.world.nowMs() - Number(message["t"]));
        break;
      case "event": {
        const event = message as unknown as LiveEvent;
        if (this.seen.has(event.sequence)) break;
        this.seen.add(event.sequence);
        this.handlers.onEvent(event);
        break;
      }
      case "quality":
        this.handlers.onQuality(message as unknown as Quality);
        break;
      case "changed":
        this.handlers.onChanged?.(String(message["table"]));
        break;
      case "bye":
        this.close();
        this.handlers.onBye(String(message["reason"]));
        break;
    }
  }

  /** Tell the server now and then how long a round trip takes; it shows both sides a weak link. */
  private report(roundTripMs: number): void {
    const nowMs = this.world.nowMs();
    if (!this.isJoined || !Number.isFinite(roundTripMs) || nowMs - this.reportedMs < REPORT_MS) return;
    this.reportedMs = nowMs;
    this.send({ type: "quality_report", round_trip_ms: Math.round(roundTripMs) });
  }

  private send(fields: Record<string, unknown>): boolean {
    return this.sendText({ live_session: this.liveSession, ...fields });
  }

  private sendText(fields: Record<string, unknown>): boolean {
    if (this.socket === null || this.socket.readyState !== 1) return false;
    this.socket.send(JSON.stringify({ v: 1, ...fields }));
    return true;
  }

  /** The network or the person is back: try at once what would be tried later. A socket that is silent is given up. */
  wake(): void {
    if (this.link === "closed") return;
    if (this.socket !== null && this.socketSilentMs() <= LINK_LOST_MS) return;
    this.drop();
    this.attempt = 0;
    this.open();
  }

  private reopen(): void {
    if (this.link === "closed") return;
    this.drop();
    if (this.joinedOnce && this.world.nowMs() - this.heardMs > LINK_LOST_MS) this.setLink("lost");
    this.stopTimers = [
      this.world.after(backoffMs(this.attempt, this.world.random()), () => this.open()),
      this.world.after(LINK_LOST_MS, () => {
        if (!this.isJoined && this.joinedOnce && this.link === "open") this.setLink("lost");
      }),
    ];
    this.attempt += 1;
  }

  private drop(): void {
    for (const stop of this.stopTimers) stop();
    this.stopTimers = [];
    const socket = this.socket;
    this.socket = null;
    this.isJoined = false;
    if (socket !== null) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    for (const id of [...this.pending.keys()]) {
      this.settle(id, (entry) => entry.reject(new RequestError("not_connected")));
    }
  }

  private settle(id: string, finish: (entry: Pending) => void): void {
    const entry = this.pending.get(id);
    if (!entry) return;
    this.pending.delete(id);
    entry.stop();
    finish(entry);
  }

  private setLink(link: LinkState): void {
    if (this.link === link || this.link === "closed") return;
    this.link = link;
    this.handlers.onLink(link);
  }
}

function parse(data: string): Record<string, unknown> | null {
  try {
    const message: unknown = JSON.parse(data);
    return typeof message === "object" && message !== null ? (message as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function browserWorld(): SocketWorld {
  return {
    open: () => new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`),
    nowMs: () => performance.now(),
    after: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
    random: () => Math.random(),
    newId: () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 12)}`,
  };
}
