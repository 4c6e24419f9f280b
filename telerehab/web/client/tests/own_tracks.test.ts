import { expect, test } from "vitest";
import { OwnTracksSwitch, type Device, type Wish } from "../shared/own_tracks";

class Track {
  enabled = true;
  stopped = false;
  stop(): void {
    this.stopped = true;
  }
}

/** Devices that open when the test says so. */
class Devices {
  readonly asked: Device[] = [];
  shown: Wish = { microphone: false, camera: false };
  readonly sent: string[] = [];
  private readonly waiting = new Map<Device, (track: MediaStreamTrack | null) => void>();
  readonly switch = new OwnTracksSwitch(
    (device) => {
      this.asked.push(device);
      return new Promise((resolve) => this.waiting.set(device, resolve));
    },
    (on, changed) => {
      this.shown = on;
      const { microphone, camera } = this.switch.tracks;
      if (changed) this.sent.push([microphone && "microphone", camera && "camera"].filter(Boolean).join(" and "));
    },
  );

  async open(device: Device, track: Track | null = new Track()): Promise<void> {
    this.waiting.get(device)?.(track as MediaStreamTrack | null);
    for (let turn = 0; turn < 8; turn += 1) await Promise.resolve();
  }
}

test("two quick taps turn on camera and microphone, whichever opens first", async () => {
  const devices = new Devices();
  devices.switch.set({ camera: true });
  devices.switch.set({ microphone: true });
  await devices.open("microphone");
  await devices.open("camera");
  expect(devices.shown).toEqual({ microphone: true, camera: true });
  expect(devices.sent).toEqual(["microphone", "microphone and camera"]);
});

test("a second tap on the same button while the device opens does not open it twice", async () => {
  const devices = new Devices();
  devices.switch.set({ camera: true });
  devices.switch.set({ camera: true });
  await devices.open("camera");
  expect(devices.asked).toEqual(["camera"]);
  expect(devices.shown.camera).toBe(true);
});

test("the last wish stands, also one made while the device was being opened", async () => {
  const devices = new Devices();
  const camera = new Track();
  devices.switch.set({ camera: true });
  devices.switch.set({ camera: false });
  await devices.open("camera", camera);
  expect(devices.shown.camera).toBe(false);
  expect(camera.stopped).toBe(true);
});

test("the microphone is muted at once, though the camera is still being asked for", async () => {
  const devices = new Devices();
  const microphone = new Track();
  devices.switch.set({ microphone: true });
  await devices.open("microphone", microphone);
  devices.switch.set({ camera: true });
  devices.switch.set({ microphone: false });
  expect(microphone.enabled).toBe(false);
  expect(devices.shown.microphone).toBe(false);
  devices.switch.set({ microphone: true });
  expect(microphone.enabled).toBe(true);
  expect(devices.asked).toEqual(["microphone", "camera"]);
});

test("a device that is refused is off, and asked for again only by hand", async () => {
  const devices = new Devices();
  devices.switch.set({ camera: true });
  await devices.open("camera", null);
  devices.switch.set({ microphone: true });
  await devices.open("microphone");
  expect(devices.asked).toEqual(["camera", "microphone"]);
  expect(devices.shown).toEqual({ microphone: true, camera: false });
  devices.switch.set({ camera: true });
  expect(devices.asked.at(-1)).toBe("camera");
});

test("a camera that opens after the room was left goes off again", async () => {
  const devices = new Devices();
  const camera = new Track();
  devices.switch.set({ camera: true });
  devices.switch.close();
  await devices.open("camera", camera);
  expect(camera.stopped).toBe(true);
  expect(devices.sent).toEqual([]);
});
