import type { Reading } from "./sampler";

/**
 * The browser's motion sensor.
 *
 * `accelerationIncludingGravity` is, by the W3C's words, the reaction force: a device that lies still with its screen up
 * reads +9.8 on z, as the accelerometer of our protocol does. Android's browsers follow; those of iOS give the opposite
 * sign on all three axes, so it is turned there. `rotationRate` is alpha, beta, gamma about x, y, z in °/s, on both.
 *
 * The browser's y points to the top of the telephone, z out of its screen. A sensor of ours has x along the segment away
 * from the trunk and z outwards from the limb. Worn as the page says, with the top towards the trunk and the screen
 * outwards, that is a quarter turn about z: x is -y, y is x.
 */

export type MotionFault = "denied" | "no_sensor";

interface MotionEventClass {
  requestPermission?: () => Promise<"granted" | "denied">;
}

function eventClass(): MotionEventClass | null {
  return typeof DeviceMotionEvent === "undefined" ? null : (DeviceMotionEvent as unknown as MotionEventClass);
}

/** Ask the person where the browser wants that (iOS: only a tap may ask, anything else is denied). */
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
  const [ax, ay, az, gx, gy, gz] = values as [number, number, number, number, number, number];
  return { atUs: Math.round(event.timeStamp * 1000), values: [-ay * sign, ax * sign, az * sign, -gy, gx, gz] };
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
