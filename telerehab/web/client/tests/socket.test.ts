import { beforeEach, expect, test } from "vitest";
import type { LiveEvent } from "../shared/messages";
import { backoffMs, BACKOFF_MAX_MS, LiveSocket, type SocketWorld } from "../shared/socket";

/** Time, and a line that can be cut; nothing here waits. */
class World implements SocketWorld {
  now = 0;
  lines: Line[] = [];
  private timers: { at: number; run: () => void }[] = [];
  private ids = 0;

  open(): WebSocket {
    const line = new Line();
    this.lines.push(line);
    return line as unknown as WebSocket;
  }
  nowMs = () => this.now;
  random = () => 0.5;
  newId = () => `id-${(this.ids += 1)}`;
  after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.now + delayMs, run };
    this.timers.push(timer);
    return () => (this.timers = this.timers.filter((other) => other !== timer));
  }
  async advance(ms: number): Promise<void> {
    const until = this.now + ms;
    for (;;) {
      const due = this.timers.filter((timer) => timer.at <= until).sort((one, other) => one.at - other.at)[0];
      if (!due) break;
      this.timers = this.timers.filter((timer) => timer !== due);
      this.now = due.at;
      due.run();
      await settled();
    }
    this.now = until;
    await settled();
  }
  get line(): Line {
    return this.lines[this.lines.length - 1] as Line;
  }
}

class Line {
  readyState = 0;
  sent: Record<string, unknown>[] = [];
  binaryType = "";
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }
  close(): void {
    this.readyState = 3;
  }
  types(): unknown[] {
    return this.sent.map((message) => message["type"]);
  }
  last(type: string): Record<string, unknown> {
    return this.sent.filter((message) => message["type"] === type).at(-1) ?? {};
  }
  async say(message: Record<string, unknown>): Promise<void> {
    this.onmessage?.({ data: JSON.stringify({ v: 1, ...message }) });
    await settled();
  }
  async accept(): Promise<void> {
    this.readyState = 1;
    this.onopen?.();
    await settled();
    await this.say({ type: "reply", re: this.last("join")["id"] });
  }
  async cut(): Promise<void> {
    this.readyState = 3;
    this.onclose?.();
    await settled();
  }
}

const settled = async () => {
  for (let turn = 0; turn < 8; turn += 1) await Promise.resolve();
};

let world: World;
let log: string[];
let socket: LiveSocket;

beforeEach(() => {
  world = new World();
  log = [];
  socket = new LiveSocket(
    "live",
    {
      onLink: (link) => log.push(`link ${link}`),
      onState: () => log.push("state"),
      onEvent: (event: LiveEvent) => log.push(`event ${event.sequence}`),
      onFrame: (_, receivedMs) => log.push(`frame ${receivedMs}`),
      onQuality: (quality) => log.push(`quality ${quality.width}`),
      onBye: (reason) => log.push(`bye ${reason}`),
      onJoined: (first) => log.push(first ? "joined" : "rejoined"),
      onRefused: (code) => log.push(`refused ${code}`),
    },
    world,
  );
  socket.start();
});

test("it joins, asks for what it missed and beats once a second", async () => {
  await world.line.accept();
  expect(log).toEqual(["link open", "joined"]);
  expect(world.line.types()).toEqual(["join", "replay"]);
  expect(world.line.last("replay")["after"]).toBe(0);
  await world.advance(3000);
  expect(world.line.types().filter((type) => type === "ping")).toHaveLength(3);
  expect(Object.keys(world.line.last("ping")).sort()).toEqual(["t", "type", "v"]);
});

test("a cut line comes back by itself, on the same seat, and replays after the last event seen", async () => {
  await world.line.accept();
  await world.line.say({ type: "reply", re: world.line.last("replay")["id"] });
  await world.line.say({ type: "event", sequence: 7, kind: "text", at: "", data: {} });
  await world.line.say({ type: "event", sequence: 7, kind: "text", at: "", data: {} });
  await world.line.cut();
  await world.advance(300);
  expect(world.lines).toHaveLength(2);
  await world.line.accept();
  expect(log.filter((entry) => entry.startsWith("event"))).toEqual(["event 7"]);
  expect(log.at(-1)).toBe("rejoined");
  expect(log).not.toContain("link lost");
});

test("after a complete replay the next one asks only for newer events", async () => {
  await world.line.accept();
  await world.line.say({ type: "event", sequence: 9, kind: "text", at: "", data: {} });
  await world.line.say({ type: "reply", re: world.line.last("replay")["id"] });
  await world.line.cut();
  await world.advance(300);
  await world.line.accept();
  expect(world.line.last("replay")["after"]).toBe(9);
});

test("three seconds of silence are told to people, fifteen open the line anew", async () => {
  await world.line.accept();
  await world.advance(3000);
  expect(log).not.toContain("link lost");
  await world.advance(1100);
  expect(log.at(-1)).toBe("link lost");
  await world.line.say({ type: "pong", t: 1 });
  expect(log.at(-1)).toBe("link open");
  await world.advance(16_500);
  expect(world.lines.length).toBeGreaterThan(1);
});

test("a line that cannot be opened is tried again and people are told after three seconds", async () => {
  await world.line.accept();
  for (let tries = 0; tries < 6; tries += 1) {
    await world.line.cut();
    await world.advance(backoffMs(tries, 0.5));
  }
  expect(world.lines).toHaveLength(7);
  expect(log.at(-1)).toBe("link lost");
  await world.line.accept();
  expect(log.slice(-2)).toEqual(["link open", "rejoined"]);
});

test("a network that is back is used at once", async () => {
  await world.line.accept();
  for (let tries = 0; tries < 5; tries += 1) {
    await world.line.cut();
    await world.advance(backoffMs(tries, 0.5));
  }
  await world.line.cut();
  const before = world.lines.length;
  socket.wake();
  expect(world.lines).toHaveLength(before + 1);
  socket.wake();
  expect(world.lines).toHaveLength(before + 1);
  await world.line.accept();
  expect(log.at(-1)).toBe("rejoined");
});

test("a socket that fell silent while the tablet slept is given up when it wakes", async () => {
  await world.line.accept();
  world.now += 5000;
  socket.wake();
  expect(world.lines).toHaveLength(2);
});

test("a slow opening after a long absence is not cut off", async () => {
  await world.line.accept();
  for (let tries = 0; tries < 9; tries += 1) {
    await world.line.cut();
    await world.advance(backoffMs(tries, 0.5));
  }
  expect(world.now).toBeGreaterThan(15_000);
  const before = world.lines.length;
  await world.advance(3000);
  expect(world.lines).toHaveLength(before);
  await world.line.accept();
  expect(log.at(-1)).toBe("rejoined");
});

test("a socket that does not open is given up after five seconds", async () => {
  await world.line.accept();
  await world.line.cut();
  await world.advance(300);
  expect(world.lines).toHaveLength(2);
  await world.advance(6000);
  expect(world.lines.length).toBeGreaterThan(2);
});

test("the wait between tries doubles up to a bound", () => {
  expect([0, 1, 2, 3].map((attempt) => backoffMs(attempt, 1))).toEqual([300, 600, 1200, 2400]);
  expect(backoffMs(50, 1)).toBe(BACKOFF_MAX_MS);
  expect(backoffMs(50, 0)).toBeLessThan(backoffMs(50, 1));
});

test("a replaced page stays away", async () => {
  await world.line.accept();
  await world.line.say({ type: "bye", reason: "replaced" });
  await world.advance(60_000);
  expect(world.lines).toHaveLength(1);
  expect(log).toContain("bye replaced");
});

test("a seat that is refused is not asked for for ever, a busy server is", async () => {
  world.line.readyState = 1;
  world.line.onopen?.();
  await world.line.say({ type: "error", re: world.line.last("join")["id"], code: "unknown_live_session" });
  await world.advance(300);
  expect(world.lines).toHaveLength(2);
  world.line.readyState = 1;
  world.line.onopen?.();
  await world.line.say({ type: "error", re: world.line.last("join")["id"], code: "not_allowed" });
  await world.advance(60_000);
  expect(world.lines).toHaveLength(2);
  expect(log).toContain("refused not_allowed");
});

test("requests are answered, refused, or end with the line", async () => {
  await world.line.accept();
  const answered = socket.request("subscribe", { audio: 1, video: 1 });
  await world.line.say({ type: "reply", re: world.line.last("subscribe")["id"], offer: null });
  await expect(answered).resolves.toMatchObject({ offer: null });
  const refused = socket.request("admit", { participant: "x" });
  await world.line.say({ type: "error", re: world.line.last("admit")["id"], code: "not_allowed" });
  await expect(refused).rejects.toMatchObject({ code: "not_allowed" });
  const cut = socket.request("help", { on: true });
  await world.line.cut();
  await expect(cut).rejects.toMatchObject({ code: "not_connected" });
});

test("a long replay is asked for page by page", async () => {
  await world.line.accept();
  await world.line.say({ type: "reply", re: world.line.last("replay")["id"], sequence: 500, complete: false });
  expect(world.line.last("replay")["after"]).toBe(500);
  await world.line.say({ type: "reply", re: world.line.last("replay")["id"], sequence: 620, complete: true });
  expect(world.line.types().filter((type) => type === "replay")).toHaveLength(2);
});

test("the time of a round trip is reported every five seconds", async () => {
  await world.line.accept();
  for (let second = 1; second <= 10; second += 1) {
    await world.advance(1000);
    await world.line.say({ type: "pong", t: world.now - 80 });
  }
  const reports = world.line.sent.filter((message) => message["type"] === "quality_report");
  expect(reports.map((report) => report["round_trip_ms"])).toEqual([80, 80]);
});

test("a live frame carries the moment of its receipt", async () => {
  await world.line.accept();
  await world.advance(500);
  world.line.onmessage?.({ data: new ArrayBuffer(16) });
  expect(log.at(-1)).toBe("frame 500");
});
