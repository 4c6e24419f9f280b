/**
 * The live frame: one binary WebSocket message per tick (100 ms), little-endian, packed.
 *
 * Header 16 bytes, then one entry of 52 bytes per training session this screen may see.
 */

export const MAGIC = 0x4c52;
export const VERSION = 1;
export const HEADER_BYTES = 16;
export const ENTRY_BYTES = 52;
export const SAMPLES_PER_TICK = 10;

const UNKNOWN_U8 = 255;
const UNKNOWN_U16 = 65535;
const UNKNOWN_ANGLE = -32768;

export const FLAG_NOT_STORED = 1;
export const FLAG_SENSOR_LOST = 2;
export const FLAG_PARTIAL = 4;

export interface LiveEntry {
  trainingSession: string;
  /** Since capture of the newest sample, when the frame was sent; null = unknown. [ms] */
  ageMs: number | null;
  phase: number;
  reason: number;
  repetitions: number;
  /** null = unknown. [%] */
  trust: number | null;
  /** Share of the samples of the last 10 s that arrived; null = unknown. [%] */
  completeness: number | null;
  lastRomDeg: number | null;
  heartRate: number | null;
  notStored: boolean;
  sensorLost: boolean;
  /** Seconds of the training session were skipped: what was counted is a part of it. */
  partial: boolean;
  /** Ten samples of 10 ms; NaN = not measured. [°] */
  angleDeg: Float32Array;
  targetLowDeg: number | null;
  targetHighDeg: number | null;
}

export interface LiveFrame {
  /** Ticks of 100 ms, the same for all entries; wraps at 2^32. */
  tick: number;
  entries: LiveEntry[];
}

/** Read one live frame; null when it is not one that this page understands. */
export function decodeFrame(buffer: ArrayBuffer): LiveFrame | null {
  if (buffer.byteLength < HEADER_BYTES) return null;
  const view = new DataView(buffer);
  if (view.getUint16(0, true) !== MAGIC || view.getUint8(2) !== VERSION) return null;
  const entryBytes = view.getUint8(3);
  const entryCount = view.getUint16(4, true);
  if (entryBytes < ENTRY_BYTES || buffer.byteLength !== HEADER_BYTES + entryCount * entryBytes) return null;
  const entries: LiveEntry[] = [];
  for (let index = 0; index < entryCount; index += 1) entries.push(readEntry(view, HEADER_BYTES + index * entryBytes));
  return { tick: view.getUint32(8, true), entries };
}

function readEntry(view: DataView, at: number): LiveEntry {
  const flags = view.getUint8(at + 27);
  const angleDeg = new Float32Array(SAMPLES_PER_TICK);
  for (let index = 0; index < SAMPLES_PER_TICK; index += 1) {
    angleDeg[index] = centidegrees(view.getInt16(at + 28 + 2 * index, true)) ?? NaN;
  }
  const lastRom = known(view.getUint16(at + 24, true), UNKNOWN_U16);
  return {
    trainingSession: readUuid(view, at),
    ageMs: known(view.getUint16(at + 16, true), UNKNOWN_U16),
    phase: view.getUint8(at + 18),
    reason: view.getUint8(at + 19),
    repetitions: view.getUint16(at + 20, true),
    trust: known(view.getUint8(at + 22), UNKNOWN_U8),
    completeness: known(view.getUint8(at + 23), UNKNOWN_U8),
    lastRomDeg: lastRom === null ? null : lastRom / 10,
    heartRate: known(view.getUint8(at + 26), 0),
    notStored: (flags & FLAG_NOT_STORED) !== 0,
    sensorLost: (flags & FLAG_SENSOR_LOST) !== 0,
    partial: (flags & FLAG_PARTIAL) !== 0,
    angleDeg,
    targetLowDeg: centidegrees(view.getInt16(at + 48, true)),
    targetHighDeg: centidegrees(view.getInt16(at + 50, true)),
  };
}

function known(value: number, unknown: number): number | null {
  return value === unknown ? null : value;
}

function centidegrees(value: number): number | null {
  return value === UNKNOWN_ANGLE ? null : value / 100;
}

function readUuid(view: DataView, at: number): string {
  let hex = "";
  for (let index = 0; index < 16; index += 1) hex += view.getUint8(at + index).toString(16).padStart(2, "0");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
