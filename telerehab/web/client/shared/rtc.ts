import type { Quality } from "./messages";

/** What the peer connections need from the socket. */
export interface Signalling {
  request(type: string, fields?: Record<string, unknown>): Promise<Record<string, unknown>>;
}

export interface RtcHandlers {
  /** A slot ("video-0", "audio-0") got a stream, or a newer one after a reconnect. */
  onSlot(slot: string, stream: MediaStream): void;
  onLegs(legs: Legs): void;
}

export type LegState = "off" | "connecting" | "flowing" | "broken";
export interface Legs {
  publish: LegState;
  subscribe: LegState;
}

const WATCH_MS = 1000;
const STALLED_MS = 4000;
const RENEW_MIN_MS = 1000;
const RENEW_MAX_MS = 4000;
/** A busy or missing media worker is asked again with the next state, but not more often than this. */
const REFUSED_MIN_MS = 250;
/** How long the replaced pair may live on while the new one connects. */
const OLD_PAIR_KEPT_MS = 8000;
/** The sizes a subscription may have; a fuller live session takes the next one by a further connection. */
export const SLOT_SIZES = [1, 4, 8, 20] as const;

/** Return the smallest subscription that holds so many sources. */
export function slotCount(sources: number): number {
  return SLOT_SIZES.find((size) => size >= sources) ?? SLOT_SIZES[SLOT_SIZES.length - 1] ?? 20;
}

interface Leg {
  connection: RTCPeerConnection;
  madeMs: number;
  bytes: number;
  bytesMs: number;
}

/**
 * The two peer connections of one seat: *publish* (own camera and microphone) and *subscribe* (fixed slots).
 *
 * Own addresses are not waited for: the media worker names its own in the answer, and learns ours from our first packet.
 *
 * Nobody's joining or leaving changes them. A broken one is replaced by a new connection on the same seat, and the old one
 * closes only when the new one is up.
 */
export class MediaLegs {
  private publishLeg: Leg | null = null;
  private subscribeLeg: Leg | null = null;
  private ownStream: MediaStream | null = null;
  private slots: { audio: number; video: number } | null = null;
  private quality: Quality | null = null;
  private expectsMedia = false;
  private readonly busy = { publish: false, subscribe: false };
  /** Asked for while one was being made: that one may be with a worker that is gone. */
  private readonly again = { publish: false, subscribe: false };
  private readonly refused = { publish: false, subscribe: false };
  private readonly failures = { publish: 0, subscribe: 0 };
  private readonly triedMs = { publish: -Infinity, subscribe: -Infinity };
  private legs: Legs = { publish: "off", subscribe: "off" };
  private readonly watch: ReturnType<typeof setInterval>;

  constructor(
    private readonly signalling: Signalling,
    private readonly handlers: RtcHandlers,
  ) {
    this.watch = setInterval(() => void this.look(), WATCH_MS);
  }

  /** Say what to publish; null ends publishing. Resolves after the first try. */
  async publish(stream: MediaStream | null): Promise<void> {
    this.ownStream = stream;
    if (stream === null) {
      this.publishLeg?.connection.close();
      this.publishLeg = null;
      this.setLeg("publish", "off");
      return;
    }
    await this.renew("publish");
  }

  /** Say how many slots to receive; asking again for the same number does nothing. */
  async subscribe(slots: { audio: number; video: number }): Promise<void> {
    if (this.slots !== null && slots.audio <= this.slots.audio && slots.video <= this.slots.video) return;
    this.slots = slots;
    await this.renew("subscribe");
  }

  /** Tell whether anybody is bound to a slot, so that silence means a broken leg. */
  expect(isBound: boolean): void {
    this.expectsMedia = isBound;
  }

  /** The socket took the seat anew: connections that did not survive it are made again, the others go on. */
  async afterRejoin(): Promise<void> {
    if (this.publishLeg?.connection.connectionState !== "connected") await this.makeAnew("publish");
    if (this.subscribeLeg?.connection.connectionState !== "connected") await this.makeAnew("subscribe");
  }

  /** The media worker is another one: both connections are gone, whatever they say. */
  async afterNewWorker(): Promise<void> {
    await this.makeAnew("publish");
    await this.makeAnew("subscribe");
  }

  /** A state came, so the server is there: what it refused is asked for again at once, not after the back-off. */
  retryRefused(): void {
    for (const which of ["publish", "subscribe"] as const) {
      if (!this.refused[which] || performance.now() - this.triedMs[which] < REFUSED_MIN_MS) continue;
      void this.makeAnew(which);
    }
  }

  /** Return how many sound packets have arrived, by slot. */
  async audioPackets(): Promise<Record<string, number>> {
    const counted: Record<string, number> = {};
    const connection = this.subscribeLeg?.connection;
    for (const transceiver of connection?.getTransceivers() ?? []) {
      if (!connection || transceiver.receiver.track.kind !== "audio") continue;
      const report = await transceiver.receiver.getStats();
      report.forEach((entry: Record<string, unknown>) => {
        if (entry["type"] === "inbound-rtp") counted[slotByPlace(connection, transceiver)] = Number(entry["packetsReceived"] ?? 0);
      });
    }
    return counted;
  }

  private async makeAnew(which: "publish" | "subscribe"): Promise<void> {
    if (this.isWanted(which)) await this.renew(which);
  }

  private isWanted(which: "publish" | "subscribe"): boolean {
    return which === "publish" ? this.ownStream !== null : this.slots !== null;
  }

  /** Follow the server's wish for size, rate and bits of the own video; drops resolution before frame rate. */
  async steer(quality: Quality): Promise<void> {
    this.quality = quality;
    const sender = this.publishLeg?.connection.getSenders().find((candidate) => candidate.track?.kind === "video");
    if (!sender) return;
    const parameters = sender.getParameters();
    const sourceWidth = sender.track?.getSettings().width ?? quality.width;
    for (const encoding of parameters.encodings) {
      encoding.scaleResolutionDownBy = Math.max(1, sourceWidth / quality.width);
      encoding.maxFramerate = quality.fps;
      encoding.maxBitrate = quality.kbps * 1000;
    }
    parameters.degradationPreference = "maintain-framerate";
    await sender.setParameters(parameters).catch(() => undefined); // refused while a new leg is being made: sent again then
  }

  close(): void {
    clearInterval(this.watch);
    this.ownStream?.getTracks().forEach((track) => track.stop());
    this.ownStream = null;
    this.slots = null;
    this.publishLeg?.connection.close();
    this.subscribeLeg?.connection.close();
    this.publishLeg = this.subscribeLeg = null;
    this.setLeg("publish", "off");
    this.setLeg("subscribe", "off");
  }

  private async renew(which: "publish" | "subscribe"): Promise<void> {
    if (this.busy[which]) {
      this.again[which] = true;
      return;
    }
    this.busy[which] = true;
    this.refused[which] = false;
    this.triedMs[which] = performance.now();
    if (this.legs[which] !== "flowing") this.setLeg(which, "connecting");
    const connection = new RTCPeerConnection({ iceServers: [], bundlePolicy: "max-bundle" });
    try {
      if (which === "publish") await this.offerOwn(connection);
      else await this.askForSlots(connection);
      if (this.isWanted(which)) this.replace(which, connection);
      else connection.close();
    } catch {
      connection.close();
      this.failures[which] += 1;
      this.refused[which] = true;
      this.setLeg(which, "broken"); // tried again by `look`, or with the next state
    } finally {
      this.busy[which] = false;
    }
    if (!this.again[which]) return;
    this.again[which] = false;
    await this.makeAnew(which);
  }

  private replace(which: "publish" | "subscribe", connection: RTCPeerConnection): void {
    const old = which === "publish" ? this.publishLeg : this.subscribeLeg;
    const leg = { connection, madeMs: performance.now(), bytes: 0, bytesMs: performance.now() };
    if (which === "publish") this.publishLeg = leg;
    else this.subscribeLeg = leg;
    const closeOld = () => old?.connection.close();
    if (old) setTimeout(closeOld, OLD_PAIR_KEPT_MS);
    const judge = () => {
      const isCurrent = (which === "publish" ? this.publishLeg : this.subscribeLeg) === leg;
      if (!isCurrent) return;
      const state = connection.connectionState;
      if (state === "connected") {
        this.failures[which] = 0;
        this.setLeg(which, "flowing");
        setTimeout(closeOld, 500);
      } else if (state === "failed" || state === "closed") {
        this.failures[which] += 1;
        this.setLeg(which, "broken");
      }
    };
    connection.onconnectionstatechange = judge;
    judge();
  }

  private async offerOwn(connection: RTCPeerConnection): Promise<void> {
    for (const track of this.ownStream?.getTracks() ?? []) {
      const transceiver = connection.addTransceiver(track, { direction: "sendonly", streams: this.ownStream ? [this.ownStream] : [] });
      if (track.kind === "video") preferVp8(transceiver);
    }
    await connection.setLocalDescription();
    const reply = await this.signalling.request("publish", { sdp: connection.localDescription?.sdp });
    await connection.setRemoteDescription({ type: "answer", sdp: String(reply["sdp"]) });
    if (this.quality) {
      const quality = this.quality;
      setTimeout(() => void this.steer(quality), 0);
    }
  }

  private async askForSlots(connection: RTCPeerConnection): Promise<void> {
    const slots = this.slots ?? { audio: 0, video: 0 };
    connection.ontrack = (event) => {
      const stream = event.streams[0] ?? new MediaStream([event.track]);
      const slot = /^(audio|video)-\d+$/.test(stream.id) ? stream.id : slotByPlace(connection, event.transceiver);
      this.handlers.onSlot(slot, stream);
    };
    const begun = await this.signalling.request("subscribe", slots);
    if (typeof begun["offer"] === "string") {
      await connection.setRemoteDescription({ type: "offer", sdp: begun["offer"] });
      await connection.setLocalDescription();
      await this.signalling.request("subscribe_sdp", { sdp: connection.localDescription?.sdp });
      return;
    }
    for (let index = 0; index < slots.audio; index += 1) connection.addTransceiver("audio", { direction: "recvonly" });
    for (let index = 0; index < slots.video; index += 1) {
      preferVp8(connection.addTransceiver("video", { direction: "recvonly" }));
    }
    await connection.setLocalDescription();
    const reply = await this.signalling.request("subscribe_sdp", { sdp: connection.localDescription?.sdp });
    await connection.setRemoteDescription({ type: "answer", sdp: String(reply["sdp"]) });
  }

  /** Once a second: has a leg died? Consent checks of the browser notice that late or never; bytes tell at once. */
  private async look(): Promise<void> {
    const nowMs = performance.now();
    for (const which of ["publish", "subscribe"] as const) {
      const leg = which === "publish" ? this.publishLeg : this.subscribeLeg;
      if (!this.isWanted(which)) continue;
      if (leg) await countBytes(leg, which, nowMs);
      const state = leg?.connection.connectionState ?? "closed";
      const isStalled =
        leg !== null && which === "subscribe" && this.expectsMedia && nowMs - Math.max(leg.bytesMs, leg.madeMs) > STALLED_MS;
      const isDead = ["closed", "failed", "disconnected"].includes(state) || (state !== "connected" && nowMs - (leg?.madeMs ?? 0) > STALLED_MS);
      if (!isDead && !isStalled) continue;
      const waitMs = Math.min(RENEW_MAX_MS, RENEW_MIN_MS * 2 ** Math.min(this.failures[which], 4));
      if (nowMs - this.triedMs[which] < waitMs) continue;
      this.failures[which] += 1;
      this.setLeg(which, "connecting");
      void this.renew(which);
    }
  }

  private setLeg(which: "publish" | "subscribe", state: LegState): void {
    if (this.legs[which] === state) return;
    this.legs = { ...this.legs, [which]: state };
    this.handlers.onLegs(this.legs);
  }
}

async function countBytes(leg: Leg, which: "publish" | "subscribe", nowMs: number): Promise<void> {
  if (leg.connection.connectionState !== "connected") return;
  let bytes = 0;
  const report = await leg.connection.getStats().catch(() => null);
  report?.forEach((entry: Record<string, unknown>) => {
    if (which === "subscribe" && entry["type"] === "inbound-rtp") bytes += Number(entry["bytesReceived"] ?? 0);
    if (which === "publish" && entry["type"] === "outbound-rtp") bytes += Number(entry["bytesSent"] ?? 0);
  });
  if (bytes !== leg.bytes) {
    leg.bytes = bytes;
    leg.bytesMs = nowMs;
  }
}

/** The media process forwards VP8 as it is: offering nothing else keeps every viewer able to decode it. */
function preferVp8(transceiver: RTCRtpTransceiver): void {
  const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  const wanted = codecs.filter((codec) => ["video/vp8", "video/rtx"].includes(codec.mimeType.toLowerCase()));
  if (wanted.length > 0) transceiver.setCodecPreferences(wanted);
}

function slotByPlace(connection: RTCPeerConnection, transceiver: RTCRtpTransceiver): string {
  const kind = transceiver.receiver.track.kind;
  const same = connection.getTransceivers().filter((candidate) => candidate.receiver.track.kind === kind);
  return `${kind}-${same.indexOf(transceiver)}`;
}
