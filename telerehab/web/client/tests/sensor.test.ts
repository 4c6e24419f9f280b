import { describe, expect, test } from "vitest";
import { Firmware, KEPT_MAX, OLD_BOOTS_MAX, RESEND_AFTER_MS, RESEND_CREDIT, type Wish } from "../sensor/firmware";
import { answerProbe, asBackfill, crc32, encodeFrame, KIND, linkMessage, readLinkMessage, type Block } from "../sensor/frame";
import { DeviceLink, REFUSED_RETRY_MS, type LinkState } from "../sensor/link";
import { isApple, toReading } from "../sensor/motion";
import { ACCEL_SCALE, GYRO_SCALE, MEASURED_READINGS, makeMeta, measurePeriod, Sampler, type Reading } from "../sensor/sampler";

const hexOf = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** `docs/protocol.md` F12, typed by hand. */
const GOLDEN_IMU6 = "5452010102000200040302010500000040420f000000000010270000" + "e32a95f1" + "0100ffffff7f008000010200" + "000000000010000000000000";

const block = (t0Us = 0): Block => ({ t0Us, periodUs: 10_000, rows: new Int16Array(12), isClipped: false });

describe("frames", () => {
  test("the golden frame of the protocol comes out byte by byte", () => {
    const rows = Int16Array.from([1, -1, 32767, -32768, 256, 2, 0, 0, 4096, 0, 0, 0]);
    const frame = encodeFrame({ boot: 0x01020304, sequence: 5 }, { t0Us: 1_000_000, periodUs: 10_000, rows, isClipped: false }, 2);
    expect(hexOf(frame)).toBe(GOLDEN_IMU6);
    expect(crc32(bytesOf("1234"), bytesOf("56789"))).toBe(0xcbf43926);
  });

  test("a frame that is sent again differs in its flag and its crc alone", () => {
    const frame = encodeFrame({ boot: 7, sequence: 1 }, block(), 0);
    const again = asBackfill(frame);
    const different = [...frame.keys()].filter((at) => frame[at] !== again[at]);
    expect(again[4]).toBe(1);
    expect(different.filter((at) => at !== 4 && !(at >= 28 && at < 32))).toEqual([]);
    expect(new DataView(again.buffer).getUint32(28, true)).toBe(crc32(again.subarray(0, 28), again.subarray(32)));
    expect(frame[4]).toBe(0); // what is kept stays as it was
  });

  test("times above 2^32 µs keep all their bits", () => {
    const frame = encodeFrame({ boot: 1, sequence: 0 }, block(2 ** 53 - 1), 0);
    expect(new DataView(frame.buffer).getBigUint64(16, true)).toBe(2n ** 53n - 1n);
  });

  test("a link message is taken apart as it was put together, and broken ones are none", () => {
    expect(readLinkMessage(linkMessage(KIND.command, bytesOf("{}"), "wipe"))).toEqual({ kind: 7, name: "wipe", payload: bytesOf("{}") });
    for (const broken of [[], [6], [7, 4, 119]]) expect(readLinkMessage(Uint8Array.from(broken))).toBeNull();
  });

  test("a time probe is answered with what it said and both times", () => {
    const probe = Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(hexOf(answerProbe(probe, 0x10, () => 0x11) as Uint8Array)).toBe("010102030405060708" + "1000000000000000" + "1100000000000000");
    expect(answerProbe(Uint8Array.from([1, ...probe.subarray(1)]), 0, () => 0)).toBeNull();
    expect(answerProbe(probe.subarray(1), 0, () => 0)).toBeNull();
  });
});

describe("firmware", () => {
  const ack = (...entries: unknown[]) => ({ kind: KIND.ack, name: "", payload: bytesOf(JSON.stringify(entries)) });
  const command = (name: string, content: unknown) => ({ kind: KIND.command, name, payload: bytesOf(JSON.stringify(content)) });
  const sent = (wishes: Wish[]) => wishes.flatMap((wish) => (wish.do === "send" ? [readLinkMessage(wish.message)] : []));
  const framesOf = (wishes: Wish[]) =>
    sent(wishes).flatMap((message) => {
      if (message === null || (message.kind !== KIND.live && message.kind !== KIND.backfill)) return [];
      const view = new DataView(message.payload.slice().buffer);
      return [`${message.kind === KIND.live ? "rt" : "bf"} ${view.getUint32(8, true)}:${view.getUint32(12, true)}`];
    });
  const stateOf = (wishes: Wish[]) => {
    const state = sent(wishes).find((message) => message?.kind === KIND.state);
    return state ? (JSON.parse(new TextDecoder().decode(state.payload)) as { boot: number; kept: unknown[]; dropped: number; bytes_kept: number }) : null;
  };
  const produce = (firmware: Firmware, count: number, nowMs: number, hasRoom = true) =>
    Array.from({ length: count }, () => firmware.keep(firmware.number(block()), nowMs, hasRoom)).flat();
  const connect = (firmware: Firmware, nowMs = 0) => firmware.connected({ v: 1, streams: {} }, nowMs);
  const nowUs = () => 0;

  test("state comes first, then meta; without a link frames are kept and not sent", () => {
    const firmware = new Firmware(3);
    expect(framesOf(produce(firmware, 2, 0))).toEqual([]);
    const wishes = connect(firmware);
    expect(sent(wishes).map((message) => message?.kind)).toEqual([KIND.state, KIND.meta]);
    expect(stateOf(wishes)).toMatchObject({ boot: 3, kept: [[3, "imu", 0]], bytes_kept: 2 * 56 });
    expect(framesOf(firmware.tend(0, true))).toEqual(["bf 3:0", "bf 3:1"]);
  });

  test("a watermark frees what lies below it and nothing else; being sent frees nothing", () => {
    const firmware = new Firmware(3);
    connect(firmware);
    expect(framesOf(produce(firmware, 3, 0))).toEqual(["rt 3:0", "rt 3:1", "rt 3:2"]);
    expect(firmware.received(ack([3, "imu", 2], [3, "other", 9], [2, "imu", 9]), 10, nowUs)).toEqual([{ do: "free", boot: 3, below: 2 }]);
    expect(firmware.keptCount).toBe(1);
    expect(firmware.tally).toMatchObject({ storedSamples: 4, keptSamples: 2 });
    expect(firmware.received(ack([3, "imu", 1]), 20, nowUs)).toEqual([]); // watermarks never fall
    for (const broken of [null, 7, [[3, "imu"]], [["3", "imu", 9]], [[3, "imu", -1]]]) {
      const payload = bytesOf(JSON.stringify(broken));
      expect(firmware.received({ kind: KIND.ack, name: "", payload }, 20, nowUs)).toEqual([]);
    }
    expect(firmware.keptCount).toBe(1);
  });

  test("what stays unanswered is sent again, oldest first, twenty a round, then two until something is freed or asked for", () => {
    const firmware = new Firmware(1);
    connect(firmware);
    produce(firmware, 30, 0);
    expect(framesOf(firmware.tend(RESEND_AFTER_MS - 1, true))).toEqual([]);
    const round = framesOf(firmware.tend(RESEND_AFTER_MS + 300, true));
    expect(round).toHaveLength(RESEND_CREDIT);
    expect(round[0]).toBe("bf 1:0");
    expect(framesOf(firmware.tend(2 * RESEND_AFTER_MS + 300, true))).toEqual(["bf 1:0", "bf 1:1"]);
    firmware.received(ack([1, "imu", 0]), 2 * RESEND_AFTER_MS + 400, nowUs); // perhaps it cannot store anything
    expect(framesOf(firmware.tend(3 * RESEND_AFTER_MS + 300, true))).toHaveLength(2);
    firmware.received(ack([1, "imu", 2]), 3 * RESEND_AFTER_MS + 400, nowUs);
    expect(framesOf(firmware.tend(4 * RESEND_AFTER_MS + 300, true))).toHaveLength(RESEND_CREDIT);
  });

  test("where the socket is full nothing is sent, and it is sent later", () => {
    const firmware = new Firmware(1);
    connect(firmware);
    expect(framesOf(produce(firmware, 1, 0, false))).toEqual([]);
    expect(framesOf(firmware.tend(100, false))).toEqual([]);
    expect(framesOf(firmware.tend(200, true))).toEqual(["bf 1:0"]);
  });

  test("`resend` brings what is kept of a range, up to its credit, at once", () => {
    const firmware = new Firmware(1);
    connect(firmware);
    produce(firmware, 6, 0);
    firmware.tend(0, true);
    firmware.received(command("resend", { boot: 1, stream: "imu", from: 1, to: 5, credit: 2 }), 1, nowUs);
    expect(framesOf(firmware.tend(2, true))).toEqual(["bf 1:1", "bf 1:2"]);
  });

  test("after a reload old boots' frames go out under their own keys, and the state tells of them", () => {
    const before = new Firmware(1);
    const found = [0, 1].map(() => before.number(block()));
    const firmware = new Firmware(2, [...found].reverse());
    const state = stateOf(connect(firmware));
    expect(state).toMatchObject({ boot: 2, kept: [[1, "imu", 0]] });
    expect(framesOf(firmware.tend(0, true))).toEqual(["bf 1:0", "bf 1:1"]);
    expect(framesOf(produce(firmware, 1, 1))).toEqual(["rt 2:0"]);
  });

  test("of too many frames the oldest go, and the state says how many", () => {
    const firmware = new Firmware(1, [], 3);
    connect(firmware);
    const wishes = produce(firmware, 5, 0, false);
    expect(wishes).toEqual([
      { do: "free", boot: 1, below: 1 },
      { do: "free", boot: 1, below: 2 },
    ]);
    expect(stateOf(firmware.tend(1000, false))).toMatchObject({ kept: [[1, "imu", 2]], dropped: 2 });
    expect(KEPT_MAX).toBeGreaterThan((20 * 60 * 100) / 10); // 20 minutes at 100 Hz (L4)
  });

  test("more old boots than a state can name are given up, the oldest first", () => {
    const found = Array.from({ length: OLD_BOOTS_MAX + 2 }, (_, index) => new Firmware(index + 1).number(block()));
    const firmware = new Firmware(1000, found);
    expect(firmware.trim()).toEqual([1, 2].map((boot) => ({ do: "free", boot, below: Infinity })));
    expect(stateOf(connect(firmware))?.kept).toHaveLength(OLD_BOOTS_MAX);
  });

  test("commands: rate, start, stop, wipe; what is not understood is ignored", () => {
    const firmware = new Firmware(1);
    connect(firmware);
    const obeyed = (name: string, content: unknown) => firmware.received(command(name, content), 0, nowUs);
    expect(obeyed("rate", { stream: "imu", n: 50 })).toEqual([{ do: "size", samples: 50 }]);
    expect(obeyed("stop", { stream: "imu" })).toEqual([{ do: "sample", on: false }]);
    expect(obeyed("start", { stream: "imu" })).toEqual([{ do: "sample", on: true }]);
    for (const n of [0, 501, 1.5, "10", null]) expect(obeyed("rate", { stream: "imu", n })).toEqual([]);
    expect(obeyed("rate", { stream: "other", n: 5 })).toEqual([]);
    expect(obeyed("dance", { stream: "imu" })).toEqual([]);
    expect(firmware.received({ kind: KIND.command, name: "wipe", payload: bytesOf("{") }, 0, nowUs)).toEqual([]);
    produce(firmware, 2, 0);
    expect(obeyed("wipe", {})).toEqual([{ do: "wipe" }]);
    expect(stateOf(firmware.restart(2, 0))).toMatchObject({ boot: 2, kept: [], bytes_kept: 0 });
    expect(framesOf(produce(firmware, 1, 0))).toEqual(["rt 2:0"]);
  });

  test("kept frames without an acknowledgement for five seconds: the link is deaf", () => {
    const firmware = new Firmware(1);
    connect(firmware, 1000);
    expect(firmware.isDeaf(9000)).toBe(false); // nothing is owed
    produce(firmware, 2, 1000);
    expect(firmware.isDeaf(5999)).toBe(false);
    expect(firmware.isDeaf(6000)).toBe(true);
    firmware.received(ack([1, "imu", 1]), 5000, nowUs);
    expect(firmware.isDeaf(9999)).toBe(false);
    firmware.disconnected();
    expect(firmware.isDeaf(99_999)).toBe(false);
  });

  test("five answered probes set the flag of frames made from then on", () => {
    const firmware = new Firmware(1);
    const probe = { kind: KIND.clock, name: "", payload: Uint8Array.from([0, 1, 0, 0, 0, 0, 0, 0, 0]) };
    const flags = () => firmware.number(block()).frame[4];
    for (let count = 0; count < 4; count += 1) expect(firmware.received(probe, 0, nowUs)).toHaveLength(1);
    expect(flags()).toBe(0);
    firmware.received(probe, 0, nowUs);
    expect(flags()).toBe(2);
  });
});

describe("sampler", () => {
  const reading = (atUs: number, value = 0): Reading => ({ atUs, values: [value, 0, 9.80665, 0, 0, 90] });
  const jitter = (index: number) => ((index * 7919) % 5) * 800 - 1600;

  test("the native rate is measured, jitter is taken off, no reading is lost", () => {
    const sampler = new Sampler();
    const readings = Array.from({ length: 200 }, (_, index) => reading(1_000_000 + index * 16_667 + jitter(index)));
    const blocks = readings.flatMap((each) => sampler.take(each));
    expect(Math.abs(sampler.periodUs - 16_667)).toBeLessThan(100);
    expect(blocks.reduce((count, each) => count + each.rows.length / 6, 0)).toBe(200);
    blocks.slice(1).forEach((each, index) => {
      const before = blocks[index] as Block;
      const step = each.t0Us - (before.t0Us + 9 * before.periodUs);
      expect(step).toBeGreaterThan(0.5 * before.periodUs); // else intake would see a hole
      expect(step).toBeLessThan(1.5 * before.periodUs);
    });
  });

  test("before the rate is known nothing comes out", () => {
    const sampler = new Sampler();
    for (let index = 1; index < MEASURED_READINGS; index += 1) expect(sampler.take(reading(index * 10_000))).toEqual([]);
    expect(sampler.take(reading(MEASURED_READINGS * 10_000))).toHaveLength(4);
    expect(measurePeriod([reading(5), reading(5)])).toBe(0);
  });

  test("a hole ends the block; the next one starts at its own time", () => {
    const sampler = new Sampler();
    for (let index = 0; index < MEASURED_READINGS + 3; index += 1) sampler.take(reading(index * 10_000));
    const [cut] = sampler.take(reading(900_000));
    expect(cut?.rows.length).toBe(3 * 6);
    expect(sampler.take(reading(100_000))).toEqual([]); // a time that lies before is none
    expect(sampler.flush()).toMatchObject([{ t0Us: 900_000 }]);
    expect(sampler.flush()).toEqual([]);
  });

  test("values are counts of the scale in meta, and what is out of range is clipped and says so", () => {
    const sampler = new Sampler();
    sampler.resize(MEASURED_READINGS);
    const [made] = Array.from({ length: MEASURED_READINGS }, (_, index) => sampler.take(reading(index * 10_000, index === 0 ? 1000 : 0))).flat();
    const rows = [...(made?.rows ?? [])];
    expect(rows.slice(0, 6)).toEqual([32767, 0, Math.round(9.80665 / ACCEL_SCALE), 0, 0, Math.round(90 / GYRO_SCALE)]);
    expect(made?.isClipped).toBe(true);
  });

  test("meta names rate, channels, units and scales; without a rate it names no stream", () => {
    const meta = makeMeta(20_000, "phone-1") as { streams: { imu: { rate_hz: number; schema: number; channels: { name: string; unit: string }[] } } };
    expect(meta.streams.imu).toMatchObject({ schema: 1, rate_hz: 50 });
    expect(meta.streams.imu.channels.map((channel) => `${channel.name} ${channel.unit}`)).toEqual(
      ["x", "y", "z"].map((axis) => `accel_${axis} m/s2`).concat(["x", "y", "z"].map((axis) => `gyro_${axis} deg/s`)),
    );
    expect(makeMeta(0, "phone-1")).toMatchObject({ streams: {} });
  });
});

describe("motion", () => {
  const event = (gyro: unknown, z: unknown = 9.8) =>
    ({ timeStamp: 12.5, accelerationIncludingGravity: { x: 1, y: -2, z }, rotationRate: gyro }) as unknown as DeviceMotionEvent;
  const turning = { alpha: 1, beta: 2, gamma: 3 };

  test("iOS gives acceleration with the opposite sign, and rotation with the same", () => {
    expect(toReading(event(turning), 1)).toEqual({ atUs: 12_500, values: [2, 1, 9.8, -2, 1, 3] });
    expect(toReading(event(turning), -1)).toEqual({ atUs: 12_500, values: [-2, -1, -9.8, -2, 1, 3] });
    expect(isApple({ userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0)", maxTouchPoints: 5 })).toBe(true);
    expect(isApple({ userAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X)", maxTouchPoints: 5 })).toBe(true);
    expect(isApple({ userAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X)", maxTouchPoints: 0 })).toBe(false);
    expect(isApple({ userAgent: "Mozilla/5.0 (Linux; Android 16)", maxTouchPoints: 5 })).toBe(false);
  });

  test("hanging with its top up, a telephone reads as a sensor whose x points away from the trunk", () => {
    const hanging = { timeStamp: 0, accelerationIncludingGravity: { x: 0, y: 9.8, z: 0 }, rotationRate: { alpha: 0, beta: 0, gamma: 5 } };
    const values = toReading(hanging as unknown as DeviceMotionEvent, 1)?.values.map((value) => value + 0); // -0 is 0
    expect(values).toEqual([-9.8, 0, 0, 0, 0, 5]);
  });

  test("an event without sensor, or without gyroscope, is no reading", () => {
    for (const empty of [event(null), event({ alpha: null, beta: null, gamma: null }), event(turning, null), event(turning, NaN)]) {
      expect(toReading(empty, 1)).toBeNull();
    }
  });
});

describe("link", () => {
  class FakeSocket {
    bufferedAmount = 0;
    binaryType = "";
    sent: unknown[] = [];
    onopen: () => void = () => undefined;
    onmessage: (event: { data: unknown }) => void = () => undefined;
    onclose: (event: { code: number }) => void = () => undefined;
    send(message: unknown) {
      this.sent.push(message);
    }
    close() {}
  }

  function world() {
    const sockets: FakeSocket[] = [];
    const states: LinkState[] = [];
    let timer: { delayMs: number; run: () => void } | null = null;
    const link = new DeviceLink(
      { device: "phone-1", password: "secret" },
      { onState: (state) => states.push(state), onMessage: () => undefined },
      {
        open: () => {
          sockets.push(new FakeSocket());
          return sockets.at(-1) as unknown as WebSocket;
        },
        after: (delayMs, run) => {
          timer = { delayMs, run };
          return () => (timer = null);
        },
        random: () => 1,
      },
    );
    return { link, sockets, states, timer: () => timer };
  }

  test("it shows its credential first, and is no link before it is welcome", () => {
    const { link, sockets, states } = world();
    link.connect();
    const [socket] = sockets as [FakeSocket];
    socket.onopen();
    expect(JSON.parse(String(socket.sent[0]))).toEqual({ type: "hello", device: "phone-1", password: "secret" });
    socket.onmessage({ data: "{" });
    socket.onmessage({ data: '{"type":"error","code":"x"}' });
    expect(link.hasRoom).toBe(false);
    socket.onmessage({ data: '{"type":"welcome"}' });
    expect([link.hasRoom, states]).toEqual([true, ["connected"]]);
    socket.bufferedAmount = 1e6;
    expect(link.hasRoom).toBe(false);
  });

  test("a lost link is opened again, later and later; a refused one after a minute", () => {
    const { link, sockets, states, timer } = world();
    link.connect();
    const delays: number[] = [];
    for (let count = 0; count < 6; count += 1) {
      sockets.at(-1)?.onclose({ code: 1006 });
      delays.push(timer()?.delayMs ?? 0);
      timer()?.run();
    }
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 8000]);
    sockets.at(-1)?.onclose({ code: 4001 });
    expect([states.at(-1), timer()?.delayMs]).toEqual(["refused", REFUSED_RETRY_MS]);
    link.connect(); // the browser says that it is online
    link.reconnect();
    expect(sockets.length).toBe(8);
    sockets.at(-2)?.onclose({ code: 1006 }); // the old one's farewell changes nothing
    expect(timer()).not.toBeNull();
  });
});
