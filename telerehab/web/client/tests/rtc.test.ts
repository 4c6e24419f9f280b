import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MediaLegs, type Legs } from "../shared/rtc";
import { RequestError } from "../shared/socket";

/** As much of a browser's connection as the legs touch; it stands as soon as it has the answer. */
class Connection {
  static made: Connection[] = [];
  connectionState = "new";
  localDescription = { sdp: "offer" };
  onconnectionstatechange: (() => void) | null = null;
  constructor() {
    Connection.made.push(this);
  }
  addTransceiver = () => ({ setCodecPreferences: () => undefined });
  getTransceivers = () => [];
  getSenders = () => [];
  getStats = () => Promise.resolve(new Map());
  setLocalDescription = () => Promise.resolve();
  setRemoteDescription = () => {
    this.connectionState = "connected";
    return Promise.resolve();
  };
  close(): void {
    this.connectionState = "closed";
  }
}

/** A server whose answers the test gives: `refuse` for the next ones, `held` until let go. */
class Server {
  readonly asked: string[] = [];
  refuse: string | null = null;
  held: (() => void)[] | null = null;

  async request(type: string): Promise<Record<string, unknown>> {
    this.asked.push(type);
    if (this.held) await new Promise<void>((resolve) => this.held?.push(resolve));
    if (this.refuse) throw new RequestError(this.refuse);
    return type === "subscribe" ? { offer: null } : { sdp: "answer" };
  }
}

let server: Server;
let legs: MediaLegs;
let shown: Legs;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("RTCPeerConnection", Connection);
  vi.stubGlobal("RTCRtpReceiver", { getCapabilities: () => null });
  Connection.made = [];
  server = new Server();
  legs = new MediaLegs(server, { onSlot: () => undefined, onLegs: (now) => (shown = now) });
});

afterEach(() => {
  legs.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const subscribed = () => server.asked.filter((type) => type === "subscribe").length;

test("what a missing media worker refused is asked for again with the next state", async () => {
  server.refuse = "media_unavailable";
  await legs.subscribe({ audio: 1, video: 1 });
  expect(shown.subscribe).toBe("broken");
  server.refuse = null;
  legs.retryRefused();
  expect(subscribed()).toBe(1); // not in one breath with the refusal
  await vi.advanceTimersByTimeAsync(300);
  legs.retryRefused();
  await vi.advanceTimersByTimeAsync(0);
  expect([subscribed(), shown.subscribe]).toEqual([2, "flowing"]);
  legs.retryRefused();
  expect(subscribed()).toBe(2);
});

test("without a state it is tried again at least every four seconds or so", async () => {
  server.refuse = "media_unavailable";
  await legs.subscribe({ audio: 1, video: 1 });
  await vi.advanceTimersByTimeAsync(60_000);
  const before = subscribed();
  await vi.advanceTimersByTimeAsync(5000);
  expect(subscribed()).toBeGreaterThan(before);
});

test("a worker that is replaced while a connection is being made gets one of its own", async () => {
  server.held = [];
  const first = legs.subscribe({ audio: 1, video: 1 });
  void legs.afterNewWorker();
  const held = server.held;
  server.held = null;
  for (const letGo of held) letGo();
  await first;
  expect(subscribed()).toBe(2);
});

test("a connection that is ready after the room was left is closed", async () => {
  server.held = [];
  const first = legs.subscribe({ audio: 1, video: 1 });
  legs.close();
  const held = server.held;
  server.held = null;
  for (const letGo of held) letGo();
  await first;
  expect(Connection.made.map((connection) => connection.connectionState)).toEqual(["closed"]);
});
