import type { Credential } from "./store";

/** The WebSocket to `/device`: opens itself again for ever, more slowly where the server does not want us. */

export const BACKOFF_FIRST_MS = 500;
export const BACKOFF_MAX_MS = 8000;
export const REFUSED_RETRY_MS = 60_000;
export const OPENING_MAX_MS = 8000;
/** More than this in the socket: frames wait in the ring instead. */
export const BUFFERED_MAX_BYTES = 128 * 1024;
const CLOSE_REVOKED = 4001;
const CLOSE_LOGIN_FAILED = 4003;

export type LinkState = "connecting" | "connected" | "refused";

export interface LinkHandlers {
  onState(state: LinkState): void;
  onMessage(bytes: Uint8Array): void;
}

export interface LinkWorld {
  open(): WebSocket;
  after(delayMs: number, run: () => void): () => void;
  random(): number;
}

export class DeviceLink {
  private socket: WebSocket | null = null;
  private isWelcome = false;
  private attempt = 0;
  private stopTimer: () => void = () => undefined;

  constructor(
    private readonly credential: Credential,
    private readonly handlers: LinkHandlers,
    private readonly world: LinkWorld = browserWorld(),
  ) {}

  get hasRoom(): boolean {
    return this.isWelcome && (this.socket?.bufferedAmount ?? Infinity) < BUFFERED_MAX_BYTES;
  }

  /** Try now; also when a wait is running. */
  connect(): void {
    if (this.socket !== null) return;
    this.stopTimer();
    const socket = (this.socket = this.world.open());
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", ...this.credential }));
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (event.data instanceof ArrayBuffer) this.handlers.onMessage(new Uint8Array(event.data));
      else if (socket === this.socket && isWelcome(event.data)) this.welcome();
    };
    socket.onclose = (event) => this.lose(socket, event.code);
    this.stopTimer = this.world.after(OPENING_MAX_MS, () => this.reconnect());
  }

  /** Give the socket up and open another one. */
  reconnect(): void {
    const socket = this.socket;
    if (socket === null) return this.connect();
    socket.close();
    this.lose(socket, 0); // a dead peer would keep `close` waiting
  }

  send(message: Uint8Array): void {
    this.socket?.send(message as Uint8Array<ArrayBuffer>);
  }

  private welcome(): void {
    this.stopTimer();
    this.isWelcome = true;
    this.attempt = 0;
    this.handlers.onState("connected");
  }

  private lose(socket: WebSocket, code: number): void {
    if (socket !== this.socket) return;
    this.stopTimer();
    this.socket = null;
    this.isWelcome = false;
    const isRefused = code === CLOSE_REVOKED || code === CLOSE_LOGIN_FAILED;
    this.handlers.onState(isRefused ? "refused" : "connecting");
    const delayMs = isRefused ? REFUSED_RETRY_MS : Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.attempt);
    this.attempt = Math.min(this.attempt + 1, 10);
    this.stopTimer = this.world.after(delayMs * (0.6 + 0.4 * this.world.random()), () => this.connect());
  }
}

function isWelcome(data: unknown): boolean {
  try {
    return typeof data === "string" && (JSON.parse(data) as { type?: unknown }).type === "welcome";
  } catch {
    return false;
  }
}

function browserWorld(): LinkWorld {
  return {
    open: () => new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/device`),
    after: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
    random: Math.random,
  };
}
