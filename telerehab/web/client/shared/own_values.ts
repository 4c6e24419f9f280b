import { storeFrame, type LiveValue } from "./live_values";
import { backoffMs, PING_MS, SOCKET_KEPT_MS } from "./socket";

/**
 * Live values of the own training sessions, outside any live session.
 *
 * The login's WebSocket carries them to whoever may see them; no seat is taken. Opened again after every loss.
 */
export class OwnValues {
  readonly values = new Map<string, LiveValue>();
  frameCount = 0;
  private socket: WebSocket | null = null;
  private attempt = 0;
  private heardMs = 0;
  private timers: ReturnType<typeof setTimeout>[] = [];
  private isClosed = false;

  start(): void {
    this.isClosed = false;
    this.open();
  }

  close(): void {
    this.isClosed = true;
    this.drop();
  }

  valueOf(trainingSession: string): LiveValue | null {
    return this.values.get(trainingSession.toLowerCase()) ?? null;
  }

  private open(): void {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.socket = socket;
    this.heardMs = performance.now();
    socket.binaryType = "arraybuffer";
    socket.onmessage = (message: MessageEvent<string | ArrayBuffer>) => {
      this.heardMs = performance.now();
      this.attempt = 0;
      if (typeof message.data !== "string") this.store(message.data);
    };
    socket.onclose = () => this.again(socket);
    this.beat(socket);
  }

  private beat(socket: WebSocket): void {
    const beat = () => {
      if (this.socket !== socket) return;
      if (performance.now() - this.heardMs > SOCKET_KEPT_MS) return this.again(socket);
      if (socket.readyState === 1) socket.send(JSON.stringify({ v: 1, type: "ping", t: performance.now() }));
      this.timers = [setTimeout(beat, PING_MS)];
    };
    this.timers.push(setTimeout(beat, PING_MS));
  }

  private again(socket: WebSocket): void {
    if (this.socket !== socket) return;
    this.drop();
    if (this.isClosed) return;
    this.timers = [setTimeout(() => this.open(), backoffMs(this.attempt, Math.random()))];
    this.attempt += 1;
  }

  private drop(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers = [];
    const socket = this.socket;
    this.socket = null;
    if (socket) {
      socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  private store(buffer: ArrayBuffer): void {
    if (storeFrame(this.values, buffer, performance.now())) this.frameCount += 1;
  }
}
