import { call, request } from "./client";
import type { FileMetadata } from "./types";

/** What a file is and was, newest first. Throws what `call` throws. */
export const versionsOf = async (id: string): Promise<FileMetadata[]> =>
  (await call<{ items: FileMetadata[] }>("GET", `api/files/${id}/versions`)).items;

export const restoreVersion = (id: string, version: number): Promise<FileMetadata> =>
  call("POST", `api/files/${id}/versions/${version}/restore`);

/** A file with what names its state, for a change that must not undo another's. */
export interface Tagged {
  file: FileMetadata;
  etag: string;
}

/** Throws what `call` throws. */
export const readFile = async (id: string): Promise<Tagged> => tagged(await request("GET", `api/files/${id}`));

/** Give a file these tags; ApiError 412 when somebody changed it after `etag` was told. */
export const retag = async (id: string, tags: Record<string, string>, etag: string): Promise<Tagged> =>
  tagged(await request("PATCH", `api/files/${id}`, { body: { tags }, headers: { "If-Match": etag } }));

async function tagged(answer: Response): Promise<Tagged> {
  return { file: (await answer.json()) as FileMetadata, etag: answer.headers.get("ETag") ?? "*" };
}
