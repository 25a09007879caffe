import { computed, effect, signal } from "@preact/signals";
import { makeFolder } from "../api/files";
import { account, session } from "../api/session";
import { allKept, keep, KEPT_BYTES, type Kept } from "./store";
import { Upload } from "./upload";

/** All uploads of this page: a few at a time, until each is done. */

const AT_ONCE = 3;
const LOOK_EVERY_MS = 1000;

export interface Target {
  folder: string;
  folderId: string | null;
}

/** A file, and where it lay below what was dropped or chosen. */
export interface Chosen {
  file: File;
  folder: string;
  handle: FileSystemFileHandle | null;
}

export const uploads = signal<Upload[]>([]);

/** Where files go that are dropped now; null where none are taken. */
export const target = signal<Target | null>(null);

export const open = computed(() => uploads.value.filter((one) => one.isOpen));

/** Put files into the queue, and make the folders that would be empty. */
export async function add(chosen: Chosen[], folders: string[], { folder, folderId }: Target): Promise<void> {
  const added = chosen.map(({ file, folder: below, handle }) => {
    const kept: Kept = {
      id: newId(),
      account: account.value?.id ?? "",
      name: file.name,
      folder: [folder, below].filter(Boolean).join("/"),
      folderId,
      size: file.size,
      lastModified: file.lastModified,
      url: null,
      paused: false,
      content: file.size <= KEPT_BYTES ? file : null,
      handle,
    };
    return new Upload(kept, file, next);
  });
  uploads.value = [...uploads.value, ...added];
  next();
  for (const path of folders) {
    await makeFolder([folder, path].filter(Boolean).join("/"), folderId ?? undefined).catch(() => undefined);
  }
  for (const one of added) {
    await hold(one.kept.id);
    if (one.isOpen) await keep(one.kept);
  }
}

/** Take up what an earlier page left, when somebody has signed in; try again when it is time. */
export function startUploads(): void {
  effect(() => {
    const id = account.value?.id;
    if (id !== undefined) void restore(id);
  });
  effect(() => {
    if (session.value === "in") resumeAll("signedOut");
  });
  addEventListener("online", () => resumeAll("offline"));
  setInterval(() => {
    for (const one of uploads.peek()) {
      if (one.status.peek() === "offline" && one.notBefore <= Date.now()) one.status.value = "waiting";
    }
    next();
  }, LOOK_EVERY_MS);
}

/** Forget those that are done. */
export function clearDone(): void {
  uploads.value = open.value;
}

/** Give uploads the files that were chosen again; return those that belong to none. */
export function rejoin(files: File[]): File[] {
  return files.filter((file) => !uploads.value.some((one) => one.status.value === "lost" && one.found(file)));
}

function resumeAll(status: "signedOut" | "offline"): void {
  for (const one of uploads.peek()) if (one.status.peek() === status) one.resume();
}

async function restore(id: string): Promise<void> {
  for (const kept of await allKept()) {
    if (kept.account !== id || uploads.peek().some((one) => one.kept.id === kept.id)) continue;
    if (!(await hold(kept.id))) continue;
    const file = kept.content ?? (await fileOf(kept.handle));
    uploads.value = [...uploads.peek(), new Upload(kept, file, next)];
  }
  next();
}

function next(): void {
  if (session.peek() !== "in") return;
  const all = uploads.peek();
  let sending = all.filter((one) => one.status.peek() === "sending").length;
  for (const one of all) {
    if (sending >= AT_ONCE) return;
    if (one.status.peek() !== "waiting") continue;
    sending += 1;
    void one.send();
  }
}

async function fileOf(handle: FileSystemFileHandle | null): Promise<File | null> {
  try {
    return (await handle?.getFile()) ?? null;
  } catch {
    return null; // it needs leave again, or is gone
  }
}

/** Have an upload for this page alone as long as it is open; false where another page has it. */
function hold(id: string): Promise<boolean> {
  const locks = navigator.locks as LockManager | undefined;
  if (locks === undefined) return Promise.resolve(true);
  return new Promise((resolve) => {
    void locks.request(`haulier.upload.${id}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      // Never let go: the browser does when the page is closed.
      return lock === null ? undefined : new Promise(() => undefined);
    });
  });
}

function newId(): string {
  // `randomUUID` is not there on plain http from another machine.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
