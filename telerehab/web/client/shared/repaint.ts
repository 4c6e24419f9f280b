export const REPAINT_MAX_HZ = 25;
const INTERVAL_MS = 1000 / REPAINT_MAX_HZ;

/**
 * Call `paint` in animation frames, at most 25 times a second, until the returned function is called.
 *
 * Messages only fill buffers; what is drawn is drawn here, so a burst of messages costs no drawing.
 */
export function repaint(paint: (nowMs: number) => void): () => void {
  let handle = 0;
  let lastMs = -Infinity;
  const step = () => {
    const nowMs = performance.now();
    if (nowMs - lastMs >= INTERVAL_MS - 2) {
      lastMs = nowMs;
      paint(nowMs);
    }
    handle = requestAnimationFrame(step);
  };
  handle = requestAnimationFrame(step);
  return () => cancelAnimationFrame(handle);
}
