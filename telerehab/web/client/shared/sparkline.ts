/** What a sparkline is drawn from; angles in degrees. */
export interface SparklineData {
  samples: Float32Array;
  lowDeg: number | null;
  highDeg: number | null;
  isFresh: boolean;
}

const COLORS = { line: "#0f3d5e", old: "#8a929b", zone: "#cfe6d5", edge: "#14532d" };

/** Return the angle range to draw: all that is seen and the target zone, at least 60 degrees. */
export function angleRange(samples: Float32Array, lowDeg: number | null, highDeg: number | null): [number, number] {
  let least = lowDeg ?? Infinity;
  let most = highDeg ?? -Infinity;
  for (const sample of samples) {
    if (sample < least) least = sample;
    if (sample > most) most = sample;
  }
  if (least > most) return [0, 90];
  const middle = (least + most) / 2;
  const half = Math.max(30, (most - least) / 2 + 5);
  return [middle - half, middle + half];
}

/** Draw the last seconds of one angle over its target zone. Holes stay holes. */
export function drawSparkline(canvas: HTMLCanvasElement, data: SparklineData): void {
  const scale = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * scale));
  const height = Math.max(1, Math.round(canvas.clientHeight * scale));
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  if (!context) return;
  context.clearRect(0, 0, width, height);
  const [least, most] = angleRange(data.samples, data.lowDeg, data.highDeg);
  const y = (angleDeg: number) => height - ((angleDeg - least) / (most - least)) * height;
  if (data.lowDeg !== null && data.highDeg !== null) {
    context.fillStyle = COLORS.zone;
    context.fillRect(0, y(data.highDeg), width, y(data.lowDeg) - y(data.highDeg));
    context.fillStyle = COLORS.edge;
    context.fillRect(0, y(data.highDeg), width, scale);
    context.fillRect(0, y(data.lowDeg) - scale, width, scale);
  }
  context.strokeStyle = data.isFresh ? COLORS.line : COLORS.old;
  context.lineWidth = 2 * scale;
  context.lineJoin = "round";
  context.beginPath();
  let isDown = false;
  const step = Math.max(1, Math.floor(data.samples.length / width));
  for (let index = 0; index < data.samples.length; index += step) {
    const sample = data.samples[index] ?? NaN;
    if (Number.isNaN(sample)) {
      isDown = false;
      continue;
    }
    const x = (index / (data.samples.length - 1)) * width;
    if (isDown) context.lineTo(x, y(sample));
    else context.moveTo(x, y(sample));
    isDown = true;
  }
  context.stroke();
}
