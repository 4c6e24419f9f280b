import type { Block } from "./frame";

/**
 * From the browser's readings to blocks with one steady period. Pure.
 *
 * The browser says when each reading came, a few milliseconds early or late. The first readings tell the native rate;
 * from then on the time of a sample is that of the one before plus the period, drawn gently to what the browser says.
 * Where readings are missing nothing is invented: the block ends, and the next one starts at its own time.
 */

export const ACCEL_RANGE_M_S2 = 16 * 9.80665;
export const GYRO_RANGE_DEG_S = 2000;
export const ACCEL_SCALE = ACCEL_RANGE_M_S2 / 32768;
export const GYRO_SCALE = GYRO_RANGE_DEG_S / 32768;
/** Readings that are looked at to find the native rate; they are not lost. */
export const MEASURED_READINGS = 40;
export const BLOCK_SAMPLES = 10;
const HOLE_PERIODS = 1.5;
const PULL = 0.05;
const INT16_MAX = 32767;
const INT16_MIN = -32768;

export interface Reading {
  /** Since the page was opened [µs]. */
  readonly atUs: number;
  /** accel x y z [m/s²], gyro x y z [°/s], of the sensor frame. */
  readonly values: readonly number[];
}

export class Sampler {
  private waiting: Reading[] = [];
  private period = 0;
  private lastUs: number | null = null;
  private rows: number[] = [];
  private t0Us = 0;
  private isClipped = false;
  private size = BLOCK_SAMPLES;

  /** Time between samples, 0 until it is known [µs]. */
  get periodUs(): number {
    return this.period;
  }

  /** Samples in a block from now on (C2). */
  resize(samples: number): void {
    this.size = samples;
  }

  /** Take a reading; return the blocks that are full now. */
  take(reading: Reading): Block[] {
    if (this.period > 0) return this.place(reading);
    this.waiting.push(reading);
    if (this.waiting.length < MEASURED_READINGS) return [];
    const readings = this.waiting;
    this.waiting = [];
    this.period = measurePeriod(readings);
    return this.period > 0 ? readings.flatMap((each) => this.place(each)) : [];
  }

  /** Return what has been sampled since the last block; the next reading starts anew. */
  flush(): Block[] {
    this.lastUs = null;
    return this.cut();
  }

  private place({ atUs, values }: Reading): Block[] {
    const blocks: Block[] = [];
    if (this.lastUs !== null && atUs <= this.lastUs - HOLE_PERIODS * this.period) return []; // a clock that went back
    let time = atUs;
    if (this.lastUs !== null) {
      const expected = this.lastUs + this.period;
      if (Math.abs(atUs - expected) < HOLE_PERIODS * this.period) time = expected + PULL * (atUs - expected);
      else blocks.push(...this.cut());
    }
    if (this.rows.length === 0) this.t0Us = Math.round(time);
    this.lastUs = time;
    values.forEach((value, channel) => this.rows.push(this.toCount(value, channel < 3 ? ACCEL_SCALE : GYRO_SCALE)));
    if (this.rows.length >= this.size * 6) blocks.push(...this.cut());
    return blocks;
  }

  private toCount(value: number, scale: number): number {
    const count = Math.round(value / scale);
    if (count >= INT16_MAX || count <= INT16_MIN) this.isClipped = true;
    return Math.min(INT16_MAX, Math.max(INT16_MIN, count));
  }

  private cut(): Block[] {
    if (this.rows.length === 0) return [];
    const block: Block = { t0Us: this.t0Us, periodUs: this.period, rows: Int16Array.from(this.rows), isClipped: this.isClipped };
    this.rows = [];
    this.isClipped = false;
    return [block];
  }
}

/** Return the time between readings: the mean of those steps that are near the median [µs]. */
export function measurePeriod(readings: readonly Reading[]): number {
  const steps = readings.slice(1).map((reading, index) => reading.atUs - (readings[index] as Reading).atUs);
  const median = [...steps].sort((left, right) => left - right)[Math.floor(steps.length / 2)] ?? 0;
  const near = steps.filter((step) => step > 0.5 * median && step < 1.5 * median);
  return near.length === 0 ? 0 : Math.round(near.reduce((sum, step) => sum + step, 0) / near.length);
}

/** Return what the device says of its stream (section 5). */
export function makeMeta(periodUs: number, serial: string): unknown {
  const channel = (name: string, unit: string, scale: number, range: number) => ({ name, unit, scale, range: [-range, range] });
  const axes = ["x", "y", "z"];
  const channels = [
    ...axes.map((axis) => channel(`accel_${axis}`, "m/s2", ACCEL_SCALE, ACCEL_RANGE_M_S2)),
    ...axes.map((axis) => channel(`gyro_${axis}`, "deg/s", GYRO_SCALE, GYRO_RANGE_DEG_S)),
  ];
  const rateHz = periodUs > 0 ? Math.round(1e9 / periodUs) / 1000 : 0;
  return { v: 1, firmware: "page-1", serial, streams: periodUs > 0 ? { imu: { schema: 1, rate_hz: rateHz, channels } } : {} };
}
