import { call, request, type Query } from "./client";
import type { FileMetadata, FolderMetadata, FoundFiles, Outcome, Page, SignedLink } from "./types";

/** Calls about files and folders. Each throws what `call` throws. */

export const searchFiles = (query: Query, signal?: AbortSignal): Promise<FoundFiles> =>
  call("GET", "api/files/search", { query, ...(signal && { signal }) });

export const listFiles = (query: Query, signal?: AbortSignal): Promise<Page<FileMetadata>> =>
  call("GET", "api/files", { query, ...(signal && { signal }) });

export const getFile = (id: string): Promise<FileMetadata> => call("GET", `api/files/${id}`);

export const changeFile = (
  id: string,
  body: { name?: string; folder?: string; tags?: Record<string, string> },
): Promise<FileMetadata> => call("PATCH", `api/files/${id}`, { body });

export const deleteFile = (id: string): Promise<void> => call("DELETE", `api/files/${id}`);

export const takeBack = (id: string): Promise<FileMetadata> => call("POST", `api/trash/${id}/restore`);

export const bulk = async (
  action: "delete" | "move" | "tag",
  ids: string[],
  more: { folder?: string; tags?: Record<string, string> } = {},
): Promise<Outcome[]> => {
  const outcomes: Outcome[] = [];
  for (let first = 0; first < ids.length; first += 1000) {
    const body = { action, ids: ids.slice(first, first + 1000), ...more };
    outcomes.push(...(await call<{ items: Outcome[] }>("POST", "api/files/bulk", { body })).items);
  }
  return outcomes;
};

/** An address that players and `<img>` can use, good for an hour. */
export const linkOf = (id: string): Promise<SignedLink> => call("POST", `api/files/${id}/link`);

/** The whole file, for what is small; from this server, also where a store sends files. */
export const contentOf = async (id: string, version?: number, signal?: AbortSignal): Promise<Blob> => {
  const options = { query: { version, redirect: false }, ...(signal && { signal }) };
  return (await request("GET", `api/files/${id}/download`, options)).blob();
};

export const listFolders = (query: Query, signal?: AbortSignal): Promise<Page<FolderMetadata>> =>
  call("GET", "api/folders", { query, ...(signal && { signal }) });

/** All pages of a list, one behind the other. */
export async function everything<T>(page: (cursor: string | null) => Promise<Page<T>>): Promise<T[]> {
  const found: T[] = [];
  let cursor: string | null = null;
  do {
    const one: Page<T> = await page(cursor);
    found.push(...one.items);
    cursor = one.next_cursor;
  } while (cursor !== null);
  return found;
}

export const getFolder = (id: string): Promise<FolderMetadata> => call("GET", `api/folders/${id}`);

export const makeFolder = (path: string, parentId?: string): Promise<FolderMetadata> =>
  call("POST", "api/folders", { body: { path, ...(parentId && { parent_id: parentId }) } });

export const changeFolder = (id: string, body: { name?: string; parent?: string }): Promise<FolderMetadata> =>
  call("PATCH", `api/folders/${id}`, { body });

export const deleteFolder = (id: string): Promise<void> => call("DELETE", `api/folders/${id}`);
