import { signal } from "@preact/signals";
import { ApiError, call } from "../shared/api";
import { Firmware, type Wish } from "./firmware";
import { readLinkMessage, type Block } from "./frame";
import { DeviceLink, type LinkState } from "./link";
import { askPermission, hearMotion } from "./motion";
import { makeMeta, Sampler, type Reading } from "./sampler";
import { keepCredential, keepRunning, readCredential, RingStore, wasRunning, type Credential } from "./store";
import { keepScreenOn } from "./wake";

/** The shell: browser's sensor -> sampler -> ring -> link. Everything that decides stands in the modules beside it. */

export type Phase = "opening" | "no_link" | "invalid_link" | "unreachable" | "elsewhere" | "no_store" | "ready" | "running" | "denied" | "no_sensor";

const TEND_MS = 250;
const SILENT_AFTER_MS = 3000;
const LOCK = "telerehab.sensor";

export class Sensor {
  readonly phase = signal<Phase>("opening");
  readonly link = signal<LinkState>("connecting");
  /** Running, and no reading for three seconds. */
  readonly isSilent = signal(false);
  /** The telephone's store takes nothing: closing the page would lose what waits. */
  readonly isVolatile = signal(false);
  readonly keptSamples = signal(0);
  readonly storedSamples = signal(0);
  /** The sensor's own rate, 0 while it is not known. */
  readonly rateHz = signal(0);

  private store: RingStore | null = null;
  private firmware: Firmware | null = null;
  private socket: DeviceLink | null = null;
  private device = "";
  private sampler = new Sampler();
  private stopHearing: (() => void) | null = null;
  private letScreenSleep: (() => void) | null = null;
  private readingMs = 0;
  /** Work on the ring, one piece after the other: a frame is written down before it is sent, and in its order. */
  private work: Promise<void> = Promise.resolve();

  /** Take the link that the page was opened with, open the ring, and deliver what it holds. */
  async open(): Promise<void> {
    if (!(await isOnlyPage())) {
      this.phase.value = "elsewhere";
      return;
    }
    const credential = await this.takeLink();
    if (credential === null) return;
    this.device = credential.device;
    try {
      this.store = await RingStore.open(credential.device);
      this.firmware = new Firmware(await this.store.nextBoot(), await this.store.frames());
    } catch {
      this.phase.value = "no_store";
      return;
    }
    this.grant(this.firmware.trim());
    this.socket = new DeviceLink(credential, { onState: (state) => this.takeLinkState(state), onMessage: (bytes) => this.takeMessage(bytes) });
    this.socket.connect();
    addEventListener("online", () => this.socket?.connect());
    setInterval(() => this.tend(), TEND_MS);
    this.phase.value = "ready";
    if (wasRunning()) await this.resume();
  }

  /** Begin to measure; called by a tap, because iOS asks the person. */
  async start(): Promise<void> {
    const fault = await askPermission();
    if (fault === null) this.run();
    else this.phase.value = fault;
  }

  /** Measure on after a reload; where the browser wants a tap first, the page waits for it. */
  private async resume(): Promise<void> {
    if ((await askPermission()) === null) this.run();
  }

  private run(): void {
    keepRunning(true);
    this.phase.value = "running";
    this.letScreenSleep ??= keepScreenOn();
    this.sample(true);
  }

  stop(): void {
    keepRunning(false);
    this.sample(false);
    this.letScreenSleep?.();
    this.letScreenSleep = null;
    this.phase.value = "ready";
  }

  private async takeLink(): Promise<Credential | null> {
    const known = readCredential();
    const token = location.hash.slice(1);
    if (token === "") {
      if (known === null) this.phase.value = "no_link";
      return known;
    }
    try {
      const credential = await call<Credential>("POST", "/api/phone-links/claim", { token });
      keepCredential(credential);
      history.replaceState(null, "", location.pathname);
      return credential;
    } catch (error) {
      const isAway = error instanceof ApiError && (error.status === 0 || error.status >= 500);
      if (!isAway) history.replaceState(null, "", location.pathname);
      if (known !== null) return known; // a link that was used here before, and opened once more
      this.phase.value = isAway ? "unreachable" : "invalid_link";
      return null;
    }
  }

  private sample(on: boolean): void {
    if (on && this.stopHearing === null) {
      this.readingMs = performance.now();
      this.stopHearing = hearMotion((reading) => this.takeReading(reading));
    } else if (!on && this.stopHearing !== null) {
      this.stopHearing();
      this.stopHearing = null;
      this.sampler.flush().forEach((block) => this.keep(block));
      this.isSilent.value = false;
    }
  }

  private takeReading(reading: Reading): void {
    this.readingMs = performance.now();
    const blocks = this.sampler.take(reading);
    if (this.rateHz.value === 0 && this.sampler.periodUs > 0) {
      this.rateHz.value = 1e6 / this.sampler.periodUs;
      this.grant(this.firmware?.describe(this.meta()) ?? []);
    }
    blocks.forEach((block) => this.keep(block));
  }

  /** Number a block, write it down, then send it. What the store does not take is kept in memory at least. */
  private keep(block: Block): void {
    this.queue(async (firmware, store) => {
      const kept = firmware.number(block);
      try {
        await store.put(kept);
        this.isVolatile.value = false;
      } catch {
        this.isVolatile.value = true;
      }
      this.grant(firmware.keep(kept, performance.now(), this.socket?.hasRoom ?? false));
    });
  }

  private takeLinkState(state: LinkState): void {
    this.link.value = state;
    if (state === "connected") this.grant(this.firmware?.connected(this.meta(), performance.now()) ?? []);
    else this.firmware?.disconnected();
  }

  private takeMessage(bytes: Uint8Array): void {
    const message = readLinkMessage(bytes);
    if (message !== null) this.grant(this.firmware?.received(message, performance.now(), nowUs) ?? []);
  }

  private tend(): void {
    const nowMs = performance.now();
    this.isSilent.value = this.stopHearing !== null && nowMs - this.readingMs > SILENT_AFTER_MS;
    const firmware = this.firmware;
    if (firmware === null) return;
    this.grant(firmware.tend(nowMs, this.socket?.hasRoom ?? false));
    if (firmware.isDeaf(nowMs)) this.socket?.reconnect();
    this.keptSamples.value = firmware.tally.keptSamples;
    this.storedSamples.value = firmware.tally.storedSamples;
  }

  private grant(wishes: readonly Wish[]): void {
    for (const wish of wishes) {
      switch (wish.do) {
        case "send":
          this.socket?.send(wish.message);
          break;
        case "free":
          this.queue((_, store) => store.free(wish.boot, wish.below).catch(() => undefined)); // freed with a later one
          break;
        case "wipe":
          this.queue((firmware, store) => this.wipe(firmware, store));
          break;
        case "sample":
          if (this.phase.value === "running") this.sample(wish.on);
          break;
        case "size":
          this.sampler.resize(wish.samples);
      }
    }
  }

  /** Forget everything under a new boot; where the store does not let go, nothing is told to the server. */
  private async wipe(firmware: Firmware, store: RingStore): Promise<void> {
    try {
      await store.clear();
      this.grant(firmware.restart(await store.nextBoot(), performance.now()));
    } catch {
      this.isVolatile.value = true;
    }
  }

  private queue(act: (firmware: Firmware, store: RingStore) => Promise<void>): void {
    const { firmware, store } = this;
    if (firmware !== null && store !== null) this.work = this.work.then(() => act(firmware, store));
  }

  private meta(): unknown {
    return this.sampler.periodUs > 0 ? makeMeta(this.sampler.periodUs, this.device) : null;
  }
}

/** The device's clock: since the page was opened, as the browser's events have it [µs]. */
function nowUs(): number {
  return Math.round(performance.now() * 1000);
}

/** Take the one place that there is on this telephone: two pages would number the same ring. */
async function isOnlyPage(): Promise<boolean> {
  return new Promise((resolve) => {
    const held = navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock === null ? undefined : new Promise<void>(() => undefined); // until the page is closed
    });
    held.catch(() => resolve(false));
  });
}
