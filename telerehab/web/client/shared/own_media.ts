/** The own camera and microphone: asked for once, and never again after a no. */

export type MediaChoice = "both" | "audio" | "none";
const KEY = "telerehab.media";

/** What this browser may use; null = never asked. */
export function rememberedChoice(): MediaChoice | null {
  const value = localStorage.getItem(KEY);
  return value === "both" || value === "audio" || value === "none" ? value : null;
}

export function rememberChoice(choice: MediaChoice): void {
  localStorage.setItem(KEY, choice);
}

/**
 * Open camera and microphone as far as the person wishes and the machine allows.
 *
 * A refusal or a missing device is no error: the next smaller choice is tried, down to no stream at all, and remembered.
 */
export async function openOwnMedia(wish: MediaChoice): Promise<{ stream: MediaStream | null; choice: MediaChoice }> {
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  const tries: MediaChoice[] = wish === "both" ? ["both", "audio"] : wish === "audio" ? ["audio"] : [];
  for (const choice of devices ? tries : []) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: true, noiseSuppression: true },
        video: choice === "both" ? { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } } : false,
      });
      rememberChoice(choice);
      return { stream, choice };
    } catch (error) {
      // Busy hardware is not a no: keep the wish for next time, go on without it now.
      if (error instanceof DOMException && error.name === "NotReadableError") continue;
      rememberChoice(choice === "both" ? "audio" : "none");
    }
  }
  return { stream: null, choice: "none" };
}
