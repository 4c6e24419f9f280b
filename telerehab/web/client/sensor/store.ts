/**
 * What this telephone keeps: the ring in IndexedDB (frames by boot and sequence, the counter of boots), and beside it
 * the credential. Each device has a ring of its own, so that a telephone that becomes another device never sends under
 * the new name what belongs to the old one.
 */

const RING_PREFIX = "telerehab.sensor.";
const CREDENTIAL_KEY = "telerehab.sensor.credential";
const RUNNING_KEY = "telerehab.sensor.running";
const FRAMES = "frames";
const VALUES = "values";

export interface StoredFrame {
  readonly boot: number;
  readonly sequence: number;
  readonly frame: Uint8Array;
}

export interface Credential {
  readonly device: string;
  readonly password: string;
}

export class RingStore {
  private constructor(private readonly database: IDBDatabase) {}

  static async open(device: string): Promise<RingStore> {
    const opening = indexedDB.open(`${RING_PREFIX}${device}`, 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore(FRAMES, { keyPath: ["boot", "sequence"] });
      opening.result.createObjectStore(VALUES);
    };
    return new RingStore(await outcome(opening));
  }

  /** Return every frame, oldest first. */
  async frames(): Promise<StoredFrame[]> {
    return outcome<StoredFrame[]>(this.database.transaction(FRAMES).objectStore(FRAMES).getAll());
  }

  async put({ boot, sequence, frame }: StoredFrame): Promise<void> {
    await this.write(FRAMES, (store) => store.put({ boot, sequence, frame }));
  }

  /** Forget what lies below a sequence of one boot. */
  async free(boot: number, below: number): Promise<void> {
    const stop = below === Infinity ? [] : below; // an array sorts behind every number
    await this.write(FRAMES, (store) => store.delete(IDBKeyRange.bound([boot, 0], [boot, stop], false, true)));
  }

  async clear(): Promise<void> {
    await this.write(FRAMES, (store) => store.clear());
  }

  /** Count one more start, and wait until the disk has it: a number that came twice would make two frames one. */
  async nextBoot(): Promise<number> {
    const known = await this.value<number>("boot");
    const boot = (known ?? 0) + 1;
    await this.setValue("boot", boot);
    return boot;
  }

  private async value<T>(key: string): Promise<T | undefined> {
    return outcome<T | undefined>(this.database.transaction(VALUES).objectStore(VALUES).get(key));
  }

  private async setValue(key: string, value: unknown): Promise<void> {
    await this.write(VALUES, (store) => store.put(value, key), "strict");
  }

  private async write(name: string, act: (store: IDBObjectStore) => IDBRequest, durability: IDBTransactionDurability = "relaxed"): Promise<void> {
    const transaction = this.database.transaction(name, "readwrite", { durability });
    act(transaction.objectStore(name));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error("aborted"));
    });
  }
}

export function readCredential(): Credential | null {
  try {
    const read = JSON.parse(localStorage.getItem(CREDENTIAL_KEY) ?? "null") as Partial<Credential> | null;
    return typeof read?.device === "string" && typeof read.password === "string" ? { device: read.device, password: read.password } : null;
  } catch {
    return null;
  }
}

export function keepCredential(credential: Credential): void {
  localStorage.setItem(CREDENTIAL_KEY, JSON.stringify(credential));
}

/** Was the sensor running when the page was last open? */
export function wasRunning(): boolean {
  return localStorage.getItem(RUNNING_KEY) === "yes";
}

export function keepRunning(isRunning: boolean): void {
  localStorage.setItem(RUNNING_KEY, isRunning ? "yes" : "no");
}

function outcome<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("failed"));
  });
}
