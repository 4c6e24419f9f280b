export const SECOND_TAP_MS = 600;

/**
 * Let one tap through and swallow the ones a trembling finger adds within 600 ms, wherever they land.
 *
 * `nowMs` is a monotonic time.
 */
export class TapGuard {
  private lastMs = -Infinity;

  accepts(nowMs: number): boolean {
    const accepted = nowMs - this.lastMs >= SECOND_TAP_MS;
    if (accepted) this.lastMs = nowMs;
    return accepted;
  }
}
