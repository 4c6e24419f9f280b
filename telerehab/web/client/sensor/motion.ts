import type { Reading } from "./sampler";

/**
 * The browser's motion sensor.
 *
 * `accelerationIncludingGravity` is, by the W3C's words, the reaction force: a device that lies still with its screen up
 * reads +9.8 on z, as the accelerometer of our protocol does. Android's browsers follow; those of iOS give the opposite
 * sign on all three axes, so it is turned there. `rotationRate` is alpha, beta, gamma about x, y, z in °/s, on both.
 */

export type MotionFault = "denied" | "no_sensor";

interface MotionEventClass {
  requestPermission?: () => Promise<"granted" | "denied">;
}

function eventClass(): MotionEventClass | null {
  return typeof DeviceMotionEvent === "undefined" ? null : (DeviceMotionEvent as unknown as MotionEventClass);
}

/** Does this browser ask the person (iOS)? Then only a tap may start the sensor. */
export function needsPermission(): boolean {
  return typeof eventClass()?.requestPermission === "function";
}

/** Ask the person where the browser wants that; must be called by a tap. */
export async function askPermission(): Promise<MotionFault | null> {
  const motion = eventClass();
  if (motion === null) return "no_sensor";
  if (motion.requestPermission === undefined) return null;
  const answer = await motion.requestPermission().catch(() => "denied");
  return answer === "granted" ? null : "denied";
}

/** Is this Apple's WebKit on a telephone or tablet? iPads say they are Macs, but have fingers. */
export function isApple(browser: Pick<Navigator, "userAgent" | "maxTouchPoints">): boolean {
  return /iPhone|iPad|iPod/.test(browser.userAgent) || (/Macintosh/.test(browser.userAgent) && browser.maxTouchPoints > 1);
}

/** Return a reading, or null where the event holds none: a machine without sensors fires one that is empty. */
export function toReading(event: DeviceMotionEvent, sign: 1 | -1): Reading | null {
  const { accelerationIncludingGravity: accel, rotationRate: gyro } = event;
  const values = [accel?.x, accel?.y, accel?.z, gyro?.alpha, gyro?.beta, gyro?.gamma];
  if (!values.every((value): value is number => typeof value === "number" && Number.isFinite(value))) return null;
  return { atUs: Math.round(event.timeStamp * 1000), values: values.map((value, channel) => (channel < 3 ? sign * value : value)) };
}

/** Hear the sensor until the returned function is called. */
export function hearMotion(onReading: (reading: Reading) => void): () => void {
  const sign = isApple(navigator) ? -1 : 1;
  const hear = (event: DeviceMotionEvent) => {
    const reading = toReading(event, sign);
    if (reading !== null) onReading(reading);
  };
  addEventListener("devicemotion", hear);
  return () => removeEventListener("devicemotion", hear);
}
