import { openDB, type DBSchema, type IDBPDatabase } from "idb";

/**
 * Recordings on this device, in IndexedDB. Sound is written piece by piece as it is recorded, so
 * that what ends the page ends the recording and loses no more than the last piece.
 */

export type RecordingState =
  | "recording"
  | "cut" // its page went away; it is offered
  | "waiting"
  | "failed" // the server does not take it
  | "sent";

export interface Recording {
  id: string;
  /** Whose it is; "" while nobody has signed in. */
  owner: string;
  name: string;
  /** As the recorder says it, with its codec. */
  type: string;
  startedAt: string;
  duration_s: number;
  size: number;
  state: RecordingState;
  /** Why it failed, in words. */
  problem: string | null;
  /** Where a part of it lies on the server. */
  uploadUrl: string | null;
  /** What it is called there. */
  fileName: string | null;
}

interface Schema extends DBSchema {
  recordings: { key: string; value: Recording; indexes: { owner: string } };
  pieces: { key: [string, number]; value: Blob };
}

const CHANNEL = "haulier.recordings";
const HELD = "haulier.recording.";
const toDisk = { durability: "strict" } as const;

const channel = new BroadcastChannel(CHANNEL);
const listeners = new Set<() => void>();
let opening: Promise<IDBPDatabase<Schema>> | null = null;

channel.onmessage = () => listeners.forEach((one) => one());

/** Hear of every change, whichever tab made it; returns what ends that. */
export function onChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The recordings of somebody, newest first. */
export async function recordingsOf(owner: string): Promise<Recording[]> {
  const found = await (await database()).getAllFromIndex("recordings", "owner", owner);
  return found.sort((a, b) => b.startedAt.localeCompare(a.startedAt));
}

export async function add(recording: Recording): Promise<void> {
  await (await database()).add("recordings", recording);
  tell();
}

/**
 * Keep the next piece of a recording for good.
 *
 * @throws DOMException QuotaExceededError when there is no room for it.
 */
export async function append(id: string, piece: Blob, duration_s: number): Promise<void> {
  const tx = (await database()).transaction(["recordings", "pieces"], "readwrite", toDisk);
  const work = async (): Promise<void> => {
    const recording = await tx.objectStore("recordings").get(id);
    if (recording === undefined) throw new DOMException("it was deleted", "NotFoundError");
    const pieces = await tx.objectStore("pieces").count(allOf(id));
    await tx.objectStore("pieces").add(piece, [id, pieces]);
    await tx.objectStore("recordings").put({ ...recording, duration_s, size: recording.size + piece.size });
  };
  await Promise.all([work(), tx.done]);
}

/** Change what is known of a recording; one that was deleted meanwhile stays so. */
export async function change(id: string, changes: Partial<Recording>): Promise<void> {
  const tx = (await database()).transaction("recordings", "readwrite", toDisk);
  const recording = await tx.store.get(id);
  if (recording !== undefined) await tx.store.put({ ...recording, ...changes });
  await tx.done;
  tell();
}

export async function remove(id: string): Promise<void> {
  const tx = (await database()).transaction(["recordings", "pieces"], "readwrite", toDisk);
  await Promise.all([tx.objectStore("recordings").delete(id), tx.objectStore("pieces").delete(allOf(id)), tx.done]);
  tell();
}

/** The sound of a recording, as far as it goes. */
export async function soundOf(recording: Recording): Promise<Blob> {
  const pieces = await (await database()).getAll("pieces", allOf(recording.id));
  return new Blob(pieces, { type: recording.type });
}

/** Say that this page is recording, until `work` ends, however it ends. */
export async function whileRecording(id: string, work: () => Promise<void>): Promise<void> {
  await navigator.locks.request(HELD + id, work);
}

/** Whether a page of this browser is recording. */
export async function isRecordingSomewhere(): Promise<boolean> {
  const { held = [] } = await navigator.locks.query();
  return held.some((one) => one.name?.startsWith(HELD));
}

/**
 * Find recordings whose page went away: what has sound is offered, the rest is dropped.
 *
 * @returns how many were found that `owner` may see.
 */
export async function findCutOff(owner: string): Promise<number> {
  let found = 0;
  for (const recording of await (await database()).getAll("recordings")) {
    if (recording.state !== "recording") continue;
    await navigator.locks.request(HELD + recording.id, { ifAvailable: true }, async (lock) => {
      if (lock === null) return;
      if (recording.size === 0) return remove(recording.id);
      if (recording.owner === owner) found += 1;
      return change(recording.id, { state: "cut" });
    });
  }
  return found;
}

/** Give somebody what was recorded before anybody had signed in. */
export async function adopt(owner: string): Promise<void> {
  for (const { id } of await recordingsOf("")) await change(id, { owner });
}

function tell(): void {
  channel.postMessage(null);
  listeners.forEach((one) => one());
}

function allOf(id: string): IDBKeyRange {
  return IDBKeyRange.bound([id, 0], [id, Infinity]);
}

function database(): Promise<IDBPDatabase<Schema>> {
  opening ??= openDB<Schema>("haulier.recordings", 1, {
    upgrade(opened) {
      opened.createObjectStore("recordings", { keyPath: "id" }).createIndex("owner", "owner");
      opened.createObjectStore("pieces");
    },
    terminated() {
      opening = null;
    },
  });
  return opening;
}
