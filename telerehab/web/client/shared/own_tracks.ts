export type Device = "microphone" | "camera";
/** What of one's own a person wants to send, or sends. */
export type Wish = Record<Device, boolean>;
export type OwnTracks = Record<Device, MediaStreamTrack | null>;

/**
 * The own microphone and camera, switched by hand.
 *
 * Opening a device takes its time, and each is opened by itself: quick taps on both never undo each other, the last wish
 * for a device stands, and off is off at once whatever is being opened.
 */
export class OwnTracksSwitch {
  readonly tracks: OwnTracks = { microphone: null, camera: null };
  private readonly wish: Wish = { microphone: false, camera: false };
  private readonly opening: Wish = { microphone: false, camera: false };
  private isClosed = false;

  constructor(
    private readonly open: (device: Device) => Promise<MediaStreamTrack | null>,
    /** Told after every change; `changed` when another set of tracks is to be sent. */
    private readonly onTracks: (on: Wish, changed: boolean) => void,
  ) {}

  set(wish: Partial<Wish>): void {
    for (const device of ["microphone", "camera"] as const) {
      const isOn = wish[device];
      if (isOn === undefined) continue;
      this.wish[device] = isOn;
      if (isOn && this.tracks[device] === null) void this.openNow(device);
      else this.follow(device);
    }
  }

  /** Close both for good, also what is still being opened. */
  close(): void {
    this.isClosed = true;
    for (const track of Object.values(this.tracks)) track?.stop();
  }

  private async openNow(device: Device): Promise<void> {
    if (this.opening[device]) return;
    this.opening[device] = true;
    const track = await this.open(device);
    this.opening[device] = false;
    if (track === null) this.wish[device] = false; // asked for again by hand only
    if (this.isClosed) {
      track?.stop();
      return;
    }
    this.tracks[device] = track;
    this.follow(device, track !== null && (this.wish[device] || device === "microphone"));
  }

  /** A microphone that is off stays open and is muted; a camera that is off is closed: its light goes out. */
  private follow(device: Device, isNew = false): void {
    const { microphone, camera } = this.tracks;
    let changed = isNew;
    if (device === "microphone" && microphone) microphone.enabled = this.wish.microphone;
    if (device === "camera" && camera && !this.wish.camera) {
      camera.stop();
      this.tracks.camera = null;
      changed = true;
    }
    this.onTracks({ microphone: microphone?.enabled ?? false, camera: this.tracks.camera !== null }, changed);
  }
}
