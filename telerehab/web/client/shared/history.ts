import { SAMPLES_PER_TICK } from "./frame";

export const SAMPLING_RATE_HZ = 100;

/**
 * The last seconds of one joint angle on the 100 Hz grid of the live frame's ticks.
 *
 * A tick that never came leaves NaN, so a hole is drawn as a hole.
 */
export class AngleHistory {
  readonly samples: Float32Array;
  private nextTick: number | null = null;

  constructor(readonly seconds: number) {
    this.samples = new Float32Array(seconds * SAMPLING_RATE_HZ).fill(NaN);
  }

  /** Append one tick of samples; old or repeated ticks change nothing. */
  append(tick: number, angleDeg: Float32Array): void {
    let missing = this.nextTick === null ? 0 : (tick - this.nextTick) >>> 0;
    if (missing > 0x7fffffff) {
      // The tick stepped back: a repeated frame, or a new intake process that counts from the start again.
      if (this.nextTick !== null && (this.nextTick - tick) >>> 0 < 50) return;
      missing = SAMPLES_PER_TICK;
    }
    const ticksKept = this.samples.length / SAMPLES_PER_TICK;
    this.shift(Math.min(missing, ticksKept) * SAMPLES_PER_TICK);
    this.shift(SAMPLES_PER_TICK);
    this.samples.set(angleDeg.subarray(0, SAMPLES_PER_TICK), this.samples.length - SAMPLES_PER_TICK);
    this.nextTick = (tick + 1) >>> 0;
  }

  /** The newest known angle of the last tick, NaN when there is none. [°] */
  newest(): number {
    for (let index = this.samples.length - 1; index >= this.samples.length - SAMPLES_PER_TICK; index -= 1) {
      const value = this.samples[index] ?? NaN;
      if (!Number.isNaN(value)) return value;
    }
    return NaN;
  }

  private shift(count: number): void {
    if (count === 0) return;
    this.samples.copyWithin(0, count);
    this.samples.fill(NaN, this.samples.length - count);
  }
}
