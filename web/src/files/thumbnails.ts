import { signal, type Signal } from "@preact/signals";
import { ApiError, request } from "../api/client";
import type { FileMetadata } from "../api/types";

/** Small pictures as object URLs: fetched while they are looked at, the last few hundred kept. */

const KEPT = 400;
const AT_ONCE = 4;
const PATIENCE = 30;

interface Wanted {
  file: FileMetadata;
  picture: Signal<string | null>;
  watchers: number;
  asked: boolean;
}

const known = new Map<string, Wanted>();
const queue: Wanted[] = [];
let running = 0;

/** The picture of a file once it is there; call `done` when it is not looked at any more. */
export function watchThumbnail(file: FileMetadata): { picture: Signal<string | null>; done: () => void } {
  const key = `${file.id}/${file.version}`;
  const wanted = known.get(key) ?? { file, picture: signal(null), watchers: 0, asked: false };
  // A Map keeps its order: what was looked at last is at its end.
  known.delete(key);
  known.set(key, wanted);
  wanted.watchers += 1;
  if (!wanted.asked) {
    wanted.asked = true;
    queue.push(wanted);
    pump();
  }
  forgetOld();
  return {
    picture: wanted.picture,
    done: () => {
      wanted.watchers -= 1;
    },
  };
}

function pump(): void {
  while (running < AT_ONCE) {
    // What came into sight last is wanted most.
    const next = queue.pop();
    if (next === undefined) return;
    if (next.watchers === 0) {
      next.asked = false;
      continue;
    }
    running += 1;
    void fetchOne(next).finally(() => {
      running -= 1;
      pump();
    });
  }
}

async function fetchOne(wanted: Wanted): Promise<void> {
  const { id, version } = wanted.file;
  for (let tries = 0; tries < PATIENCE && wanted.watchers > 0; tries += 1) {
    try {
      const answer = await request("GET", `api/files/${id}/thumbnail`, { query: { size: 320, version } });
      if (answer.status === 200) {
        wanted.picture.value = URL.createObjectURL(await answer.blob());
        return;
      }
    } catch (error) {
      // None can be made, or not now: it is asked for again when it comes into sight again.
      wanted.asked = error instanceof ApiError && error.status === 404;
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  wanted.asked = false;
}

function forgetOld(): void {
  for (const [key, wanted] of known) {
    if (known.size <= KEPT) return;
    if (wanted.watchers > 0) continue;
    if (wanted.picture.value !== null) URL.revokeObjectURL(wanted.picture.value);
    known.delete(key);
  }
}
