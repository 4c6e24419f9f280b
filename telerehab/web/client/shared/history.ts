import { SAMPLES_PER_TICK } from "./frame";

export const SAMPLING_RATE_HZ = 100;

/** A patient whose samples came one tick late misses one or two ticks; a longer hole is one of the measurement. */
export const BRIDGED_SAMPLES = 30;
/** The angle "now" is never older than this. */
const NEWEST_SAMPLES = 50;

/**
 * The last seconds of one joint angle on the 100 Hz grid of the live frame's ticks.
 *
 * A tick that never came leaves NaN, so a hole is drawn as a hole; one of up to 0.3 s, as samples that come late leave, is
 * bridged by a line.
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
    this.bridge();
    this.nextTick = (tick + 1) >>> 0;
  }

  /** The newest angle known in the last half second, NaN when there is none. [°] */
  newest(): number {
    for (let index = this.samples.length - 1; index >= this.samples.length - NEWEST_SAMPLES; index -= 1) {
      const value = this.samples[index] ?? NaN;
      if (!Number.isNaN(value)) return value;
    }
    return NaN;
  }

  /** Close a short hole before the newest tick. */
  private bridge(): void {
    const right = this.samples.length - SAMPLES_PER_TICK;
    let left = right - 1;
    while (left >= 0 && right - left <= BRIDGED_SAMPLES && Number.isNaN(this.samples[left])) left -= 1;
    const from = this.samples[left] ?? NaN;
    const to = this.samples[right] ?? NaN;
    if (Number.isNaN(from) || Number.isNaN(to)) return;
    for (let index = left + 1; index < right; index += 1) {
      this.samples[index] = from + ((to - from) * (index - left)) / (right - left);
    }
  }

  private shift(count: number): void {
    if (count === 0) return;
    this.samples.copyWithin(0, count);
    this.samples.fill(NaN, this.samples.length - count);
  }
}
