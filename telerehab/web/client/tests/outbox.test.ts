import { describe, expect, test } from "vitest";
import { ApiError } from "../shared/api";
import { Outbox, OUTBOX_PREFIX, RETRY_MAX_MS, type OutboxEntry, type OutboxStore, type Outcome } from "../shared/outbox";

class Store implements OutboxStore {
  readonly kept = new Map<string, string>();
  isFull = false;
  get length() {
    return this.kept.size;
  }
  key = (index: number) => [...this.kept.keys()][index] ?? null;
  getItem = (key: string) => this.kept.get(key) ?? null;
  setItem(key: string, value: string) {
    if (this.isFull) throw new DOMException("full", "QuotaExceededError");
    this.kept.set(key, value);
  }
  removeItem = (key: string) => void this.kept.delete(key);
}

/** A server that has what it was sent, and a link that tests cut. */
class World {
  store = new Store();
  got: string[] = [];
  answers = new Map<string, () => unknown>();
  isLinked = true;
  timers: { delayMs: number; run: () => void }[] = [];

  send = async (entry: OutboxEntry): Promise<unknown> => {
    await Promise.resolve();
    if (!this.isLinked) throw new ApiError(0, "unreachable");
    const answer = this.answers.get(entry.path);
    const value = answer === undefined ? { ok: true } : answer();
    this.got.push(entry.path);
    return value;
  };
  after = (delayMs: number, run: () => void) => {
    const timer = { delayMs, run };
    this.timers.push(timer);
    return () => (this.timers = this.timers.filter((other) => other !== timer));
  };
}

function entry(path: string, group = "g", owner = "else"): OutboxEntry {
  return { owner, group, method: "PUT", path, body: { path } };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 400; turn += 1) await Promise.resolve();
}

function refuse(status: number, code = "no"): () => never {
  return () => {
    throw new ApiError(status, code);
  };
}

describe("nothing is lost", () => {
  test("what was written without a link is delivered in its order, once, when the link is back", async () => {
    const world = new World();
    const outbox = new Outbox(undefined, world);
    world.isLinked = false;
    outbox.start("else");
    for (const path of ["1", "2", "3"]) outbox.put(entry(path));
    await settle();
    expect([world.got, outbox.waiting.value, outbox.isBlocked.value]).toEqual([[], 3, true]);
    world.isLinked = true;
    await outbox.flush();
    await outbox.flush();
    expect(world.got).toEqual(["1", "2", "3"]);
    expect([outbox.waiting.value, world.store.length, outbox.isBlocked.value]).toEqual([0, 0, false]);
  });

  test("a page that is opened anew delivers what the last one left", async () => {
    const world = new World();
    world.isLinked = false;
    const before = new Outbox(undefined, world);
    before.start("else");
    for (let number = 1; number <= 12; number += 1) before.put(entry(String(number)));
    await settle();
    world.isLinked = true;
    const after = new Outbox(undefined, world);
    after.start("else");
    await settle();
    expect(world.got).toEqual(["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]);
  });

  test("an entry stays kept until the server has answered", async () => {
    const world = new World();
    const outbox = new Outbox(undefined, world);
    outbox.start("else");
    world.answers.set("1", () => {
      expect([...world.store.kept.keys()]).toHaveLength(1);
      return {};
    });
    outbox.put(entry("1"));
    await settle();
    expect(world.store.length).toBe(0);
  });

  test("a browser without room still delivers from memory", async () => {
    const world = new World();
    world.store.isFull = true;
    const outbox = new Outbox(undefined, world);
    outbox.start("else");
    outbox.put(entry("1"));
    await settle();
    expect(world.got).toEqual(["1"]);
  });

  test("it tries again by itself, ever more rarely, but at least every quarter of a minute", async () => {
    const world = new World();
    const outbox = new Outbox(undefined, world);
    world.isLinked = false;
    outbox.start("else");
    outbox.put(entry("1"));
    const delays: number[] = [];
    for (let turn = 0; turn < 8; turn += 1) {
      await settle();
      expect(world.timers).toHaveLength(1);
      const timer = world.timers[0];
      delays.push(timer?.delayMs ?? 0);
      timer?.run();
    }
    expect(delays[0]).toBeLessThanOrEqual(2000);
    expect(Math.max(...delays)).toBe(RETRY_MAX_MS);
    world.isLinked = true;
    await outbox.flush();
    expect(world.got).toEqual(["1"]);
  });

  test("damaged keeping does not stop the rest", async () => {
    const world = new World();
    world.store.setItem(`${OUTBOX_PREFIX}000000001`, "{");
    world.store.setItem(`${OUTBOX_PREFIX}000000002`, JSON.stringify(entry("2")));
    const outbox = new Outbox(undefined, world);
    outbox.start("else");
    await outbox.flush();
    expect(world.got).toEqual(["2"]);
  });
});

describe("order and refusals", () => {
  test("a group that waits does not hold up the others, and keeps its own order", async () => {
    const world = new World();
    const outbox = new Outbox(undefined, world);
    world.answers.set("a1", refuse(503));
    outbox.put(entry("a1", "a"));
    outbox.put(entry("a2", "a"));
    outbox.put(entry("b1", "b"));
    outbox.start("else");
    await settle();
    expect(world.got).toEqual(["b1"]);
    world.answers.clear();
    await outbox.flush();
    expect(world.got).toEqual(["b1", "a1", "a2"]);
  });

  test("what the server refuses for good is told, and the next goes on", async () => {
    const world = new World();
    const outcomes: Outcome[] = [];
    const outbox = new Outbox((outcome) => outcomes.push(outcome), world);
    world.answers.set("1", refuse(409, "other_content"));
    outbox.put(entry("1"));
    outbox.put(entry("2"));
    outbox.start("else");
    await settle();
    expect(outcomes.map(({ entry: { path }, refusal }) => [path, refusal?.code ?? null])).toEqual([
      ["1", "other_content"],
      ["2", null],
    ]);
    expect([outbox.refusedCount.value, outbox.waiting.value]).toEqual([1, 0]);
  });

  test("training that a stop forbids is kept until the stop is confirmed, and told", async () => {
    const world = new World();
    const codes: (string | null)[] = [];
    const outbox = new Outbox(({ refusal }) => codes.push(refusal?.code ?? null), world);
    world.answers.set("1", refuse(409, "stop_unconfirmed"));
    outbox.put(entry("1"));
    outbox.put(entry("2"));
    outbox.start("else");
    await settle();
    expect([codes, outbox.waiting.value]).toEqual([["stop_unconfirmed"], 2]);
    world.answers.clear();
    await outbox.flush();
    expect(world.got).toEqual(["1", "2"]);
  });

  test("nothing leaves under another login", async () => {
    const world = new World();
    const outbox = new Outbox(undefined, world);
    outbox.put(entry("of poul", "g", "poul"));
    outbox.put(entry("of else"));
    outbox.start("else");
    await settle();
    expect([world.got, outbox.waiting.value]).toEqual([["of else"], 0]);
    outbox.start("poul");
    await settle();
    expect(world.got).toEqual(["of else", "of poul"]);
  });
});
