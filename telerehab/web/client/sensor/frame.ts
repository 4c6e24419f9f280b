/** The bytes of a frame and of a device link, as `docs/protocol.md` sections 1, 4 and 9 say. Pure. */

export const FLAG_BACKFILL = 1;
export const FLAG_CLOCK_PROBED = 2;
export const FLAG_CLIPPED = 4;
export const SCHEMA_IMU6 = 1;
export const HEADER_BYTES = 32;
const MAGIC = 0x5254;
const VERSION = 1;
const FLAGS_AT = 4;
const CRC_AT = 28;
const CRC_POLYNOMIAL = 0xedb88320;

export const KIND = { live: 1, backfill: 2, meta: 3, state: 4, clock: 5, ack: 6, command: 7 } as const;
const PROBE_BYTES = 9;

export interface Block {
  /** Device clock at the first sample [µs]. */
  readonly t0Us: number;
  /** Time between samples [µs]. */
  readonly periodUs: number;
  /** accel x y z, gyro x y z of one sample after the other. */
  readonly rows: Int16Array;
  readonly isClipped: boolean;
}

export interface FrameKey {
  readonly boot: number;
  readonly sequence: number;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ CRC_POLYNOMIAL : value >>> 1;
  return value >>> 0;
});

/** Return zlib's crc32 of the parts, one behind the other. */
export function crc32(...parts: Uint8Array[]): number {
  let crc = 0xffffffff;
  for (const part of parts) for (const byte of part) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] as number);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Return a frame of schema 1. */
export function encodeFrame(key: FrameKey, block: Block, flags: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + block.rows.length * 2);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, MAGIC, true);
  view.setUint8(2, VERSION);
  view.setUint8(3, SCHEMA_IMU6);
  view.setUint16(FLAGS_AT, flags, true);
  view.setUint16(6, block.rows.length / 6, true);
  view.setUint32(8, key.boot, true);
  view.setUint32(12, key.sequence, true);
  view.setBigUint64(16, BigInt(block.t0Us), true);
  view.setUint32(24, block.periodUs, true);
  block.rows.forEach((value, index) => view.setInt16(HEADER_BYTES + index * 2, value, true));
  return sealed(bytes);
}

/** Return a frame as it is sent again: with the flag that says so, and the crc that belongs to it. */
export function asBackfill(frame: Uint8Array): Uint8Array {
  const bytes = frame.slice();
  const view = new DataView(bytes.buffer);
  view.setUint16(FLAGS_AT, view.getUint16(FLAGS_AT, true) | FLAG_BACKFILL, true);
  return sealed(bytes);
}

function sealed(bytes: Uint8Array): Uint8Array {
  const crc = crc32(bytes.subarray(0, CRC_AT), bytes.subarray(HEADER_BYTES));
  new DataView(bytes.buffer).setUint32(CRC_AT, crc, true);
  return bytes;
}

/** Return a message of a device link: what it is, the name of a stream, and what MQTT's topic would carry. */
export function linkMessage(kind: number, payload: Uint8Array, name = ""): Uint8Array {
  const encoded = new TextEncoder().encode(name);
  const bytes = new Uint8Array(2 + encoded.length + payload.length);
  bytes.set([kind, encoded.length]);
  bytes.set(encoded, 2);
  bytes.set(payload, 2 + encoded.length);
  return bytes;
}

export interface LinkMessage {
  readonly kind: number;
  readonly name: string;
  readonly payload: Uint8Array;
}

/** Take a message of the server apart; null where it is none. */
export function readLinkMessage(bytes: Uint8Array): LinkMessage | null {
  const [kind, length] = bytes;
  if (kind === undefined || length === undefined || bytes.length < 2 + length) return null;
  const name = new TextDecoder().decode(bytes.subarray(2, 2 + length));
  return { kind, name, payload: bytes.subarray(2 + length) };
}

/** Return the answer to a time probe (K2, K3), null where the payload is none. `nowUs` is the device's clock. */
export function answerProbe(payload: Uint8Array, receivedUs: number, nowUs: () => number): Uint8Array | null {
  if (payload.length !== PROBE_BYTES || payload[0] !== 0) return null;
  const answer = new Uint8Array(25);
  const view = new DataView(answer.buffer);
  view.setUint8(0, 1);
  answer.set(payload.subarray(1), 1);
  view.setBigUint64(9, BigInt(receivedUs), true);
  view.setBigUint64(17, BigInt(nowUs()), true);
  return answer;
}
