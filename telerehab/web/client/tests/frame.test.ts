import { expect, test } from "vitest";
import { decodeFrame } from "../shared/frame";

/** Typed by hand from the description of the live frame, not by any encoder. */
const GOLDEN =
  "52 4c 01 34 01 00 00 00 e9 03 00 00 00 00 00 00" + // magic, version 1, 52 bytes, 1 entry, tick 1001
  " 0b 0f 8f 1e 00 00 40 00 80 00 00 00 00 00 01 02" + // training session
  " 78 00 04 02 07 00 5d 63 2c 03 54 03" + // 120 ms, phase 4, reason 2, 7 repetitions, 93 %, 99 %, 81.2°, 84/min, flags 1+2
  " 28 23 00 80 00 00 9c ff 28 23 28 23 28 23 28 23 28 23 10 27" + // 90°, unknown, 0°, -1°, 6 times 90°, 100°
  " 00 00 dc 05"; // target 0° to 15°

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(hex.trim().split(/\s+/), (byte) => parseInt(byte, 16));
}

function changed(at: number, values: number[]): ArrayBuffer {
  const copy = bytes(GOLDEN);
  copy.set(values, at);
  return copy.buffer as ArrayBuffer;
}

test("a golden frame is read field by field", () => {
  const frame = decodeFrame(bytes(GOLDEN).buffer as ArrayBuffer);
  expect(frame?.tick).toBe(1001);
  const entry = frame?.entries[0];
  expect(entry).toMatchObject({
    trainingSession: "0b0f8f1e-0000-4000-8000-000000000102",
    ageMs: 120,
    phase: 4,
    reason: 2,
    repetitions: 7,
    trust: 93,
    completeness: 99,
    lastRomDeg: 81.2,
    heartRate: 84,
    notStored: true,
    sensorLost: true,
    partial: false,
    targetLowDeg: 0,
    targetHighDeg: 15,
  });
  expect([...(entry?.angleDeg ?? [])]).toEqual([90, NaN, 0, -1, 90, 90, 90, 90, 90, 100]);
});

test("what is unknown is no number", () => {
  const entry = (at: number, values: number[]) => decodeFrame(changed(16 + at, values))?.entries[0];
  expect(entry(16, [0xff, 0xff])?.ageMs).toBeNull();
  expect(entry(22, [0xff])?.trust).toBeNull();
  expect(entry(23, [0xff])?.completeness).toBeNull();
  expect(entry(24, [0xff, 0xff])?.lastRomDeg).toBeNull();
  expect(entry(26, [0])?.heartRate).toBeNull();
  expect(entry(48, [0x00, 0x80])?.targetLowDeg).toBeNull();
  expect(entry(22, [0])?.trust).toBe(0);
});

test("foreign and broken frames are refused", () => {
  expect(decodeFrame(changed(0, [0x53]))).toBeNull();
  expect(decodeFrame(changed(2, [2]))).toBeNull();
  expect(decodeFrame(changed(4, [2]))).toBeNull();
  expect(decodeFrame(bytes(GOLDEN).slice(0, 60).buffer as ArrayBuffer)).toBeNull();
  expect(decodeFrame(new ArrayBuffer(3))).toBeNull();
});

test("a longer entry of a later server is read as far as it is known", () => {
  const longer = new Uint8Array(16 + 56);
  longer.set(bytes(GOLDEN));
  longer[3] = 56;
  expect(decodeFrame(longer.buffer)?.entries[0]?.repetitions).toBe(7);
});
