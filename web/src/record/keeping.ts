import { signal } from "@preact/signals";

/** What becomes of recordings on this device, and how much room there is for them. */

const COPIES_KEY = "haulier.record.copies";

/** What recordings take, about; the recorder is asked for it in `recorder.ts`. */
export const BYTES_PER_S = 12_000;
/** Less is told before and while recording: ten minutes. */
export const LITTLE_BYTES = 600 * BYTES_PER_S;

export interface Room {
  free: number;
  /** Whether the browser promised to clear nothing by itself. */
  promised: boolean;
}

export const room = signal<Room | null>(null);

/** Whether what was sent stays here as well. */
export const keepsCopies = (): boolean => localStorage.getItem(COPIES_KEY) === "yes";

export const chooseCopies = (yes: boolean): void => localStorage.setItem(COPIES_KEY, yes ? "yes" : "no");

/** See how much room there is. */
export async function measureRoom(): Promise<void> {
  const storage = navigator.storage as StorageManager | undefined;
  if (storage === undefined) return;
  const { quota = 0, usage = 0 } = await storage.estimate();
  room.value = { free: Math.max(0, quota - usage), promised: await storage.persisted() };
}

/** Ask the browser to clear nothing of this by itself. */
export async function askToPersist(): Promise<void> {
  await (navigator.storage as StorageManager | undefined)?.persist();
  await measureRoom();
}
