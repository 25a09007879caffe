import type { Chosen } from "./queue";
import { KEPT_BYTES } from "./store";

export interface Found {
  files: Chosen[];
  /** Folders without anything in them. */
  folders: string[];
}

/** Everything that was dropped, folders with all that lies in them. To be called in the event. */
export async function readDrop(items: DataTransferItemList): Promise<Found> {
  const found: Found = { files: [], folders: [] };
  // All of it is there only while the event is handled.
  const dropped = [...items].filter((item) => item.kind === "file").map(taken);
  for (const { entry, file, handle } of dropped) {
    if (entry?.isDirectory) await walk(entry as FileSystemDirectoryEntry, found);
    else if (file !== null) {
      found.files.push({ file, folder: "", handle: file.size > KEPT_BYTES ? await handle : null });
    }
  }
  return found;
}

/** What was chosen in a form, with the folders that it lay in. */
export function readInput(files: FileList): Chosen[] {
  return [...files].map((file) => ({
    file,
    folder: file.webkitRelativePath.split("/").slice(0, -1).join("/"),
    handle: null,
  }));
}

interface Taken {
  entry: FileSystemEntry | null;
  file: File | null;
  handle: Promise<FileSystemFileHandle | null>;
}

type WithHandle = DataTransferItem & { getAsFileSystemHandle?: () => Promise<FileSystemHandle | null> };

function taken(item: DataTransferItem): Taken {
  const asked = (item as WithHandle).getAsFileSystemHandle?.() ?? Promise.resolve(null);
  const handle = asked.then(
    (one) => (one?.kind === "file" ? (one as FileSystemFileHandle) : null),
    () => null,
  );
  return { entry: item.webkitGetAsEntry(), file: item.getAsFile(), handle };
}

async function walk(folder: FileSystemDirectoryEntry, found: Found): Promise<void> {
  const path = folder.fullPath.replace(/^\//, "");
  const entries = await entriesOf(folder);
  if (entries.length === 0) found.folders.push(path);
  for (const entry of entries) {
    if (entry.isDirectory) await walk(entry as FileSystemDirectoryEntry, found);
    else {
      const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
      found.files.push({ file, folder: path, handle: null });
    }
  }
}

async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const entries: FileSystemEntry[] = [];
  for (;;) {
    // It gives some at a time, and none at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return entries;
    entries.push(...some);
  }
}
