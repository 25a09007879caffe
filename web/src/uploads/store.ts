import { openDB, type DBSchema, type IDBPDatabase } from "idb";

/** What is kept of uploads so that they go on after the page was closed. */
export interface Kept {
  id: string;
  /** Whose upload it is. */
  account: string;
  name: string;
  folder: string;
  folderId: string | null;
  size: number;
  lastModified: number;
  /** Where the server takes it; null while it was not asked. */
  url: string | null;
  paused: boolean;
  /** A small file itself; of a large one what finds it again, where the browser has that. */
  content: Blob | null;
  handle: FileSystemFileHandle | null;
}

interface Schema extends DBSchema {
  uploads: { key: string; value: Kept };
}

/** A file up to this size is kept by the browser until it is uploaded. */
export const KEPT_BYTES = 32 << 20;

let opened: Promise<IDBPDatabase<Schema>> | null = null;

function database(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>("haulier-uploads", 1, {
    upgrade: (db) => void db.createObjectStore("uploads", { keyPath: "id" }),
  });
  return opened;
}

/** In a private window there may be no room to keep anything: the upload goes on without. */
async function tolerantly(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch {
    return;
  }
}

export const keep = (one: Kept): Promise<void> => tolerantly(async () => (await database()).put("uploads", one));

export const forget = (id: string): Promise<void> => tolerantly(async () => (await database()).delete("uploads", id));

export async function allKept(): Promise<Kept[]> {
  try {
    return await (await database()).getAll("uploads");
  } catch {
    return [];
  }
}
