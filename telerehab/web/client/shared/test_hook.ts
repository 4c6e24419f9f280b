import type { Room } from "./room";
import { freshnessOf } from "./room";

/**
 * `window.__telerehab`: what the page shows, readable by browser tests. Read-only, and nothing that is not on the page.
 */
export interface TestHook {
  state(): unknown;
  link(): string;
  legs(): unknown;
  liveFrames(): number;
  /** Decoded video frames by slot. */
  framesDecoded(): Record<string, number>;
  /** Sound packets received, by slot. */
  audioPackets(): Promise<Record<string, number>>;
  /** Counted repetitions by training session. */
  repetitions(): Record<string, number>;
  /** Age of the newest sample by training session; null = unknown. [ms] */
  ages(): Record<string, number | null>;
}

declare global {
  interface Window {
    __telerehab?: Readonly<TestHook>;
  }
}

export function exposeTestHook(room: () => Room | null): void {
  const values = <T>(pick: (room: Room, id: string) => T): Record<string, T> => {
    const current = room();
    return Object.fromEntries([...(current?.values.keys() ?? [])].map((id) => [id, pick(current as Room, id)]));
  };
  window.__telerehab = Object.freeze({
    state: () => structuredClone(room()?.state.value ?? null),
    link: () => room()?.link.value ?? "off",
    legs: () => ({ ...(room()?.legs.value ?? {}) }),
    liveFrames: () => room()?.frameCount ?? 0,
    framesDecoded: () =>
      Object.fromEntries(
        [...document.querySelectorAll<HTMLVideoElement>("video[data-slot]")].map((video) => [
          video.dataset["slot"] ?? "",
          video.getVideoPlaybackQuality().totalVideoFrames,
        ]),
      ),
    audioPackets: async () => (await room()?.media.audioPackets()) ?? {},
    repetitions: () => values((current, id) => current.values.get(id)?.entry.repetitions ?? 0),
    ages: () => values((current, id) => freshnessOf(current.valueOf(id), performance.now()).ageMs),
  });
}
