import { account } from "../api/session";
import { everything, listFiles, listFolders, searchFiles } from "../api/files";
import type { Query } from "../api/client";
import type { FileMetadata, FolderMetadata, FoundFiles } from "../api/types";
import { href } from "../router";

export type SortKey = "name" | "modified" | "size" | "created";

export interface Order {
  by: SortKey;
  descending: boolean;
}

export const PAGE = 1000;

/** Where the files of a page come from. */
export interface Source {
  /** Two sources with one key show the same. */
  key: string;
  folders(signal: AbortSignal): Promise<FolderMetadata[]>;
  page(order: Order, cursor: string | null, signal: AbortSignal): Promise<FoundFiles>;
  /** Whether the folder itself is there. */
  isThere(signal: AbortSignal): Promise<boolean>;
  /** Whether a file belongs here; null where only the server knows. */
  holds(file: FileMetadata): boolean | null;
  /** Whether something that happened to a file of this folder may be seen here. */
  concerns(folder: string | null): boolean;
  hrefOf(folder: FolderMetadata): string;
  /** Whether the server sorts them as it is asked to. */
  sorts: boolean;
  /** Where new things go: a path of one's own, below `folderId` if there is one; null: nowhere. */
  target: { folder: string; folderId: string | null } | null;
}

/** One of one's own folders; the empty path is the top. */
export function ownFolder(path: string): Source {
  const owner = account.value?.id ?? "";
  const inside = path === "" ? "" : `${path}/`;
  return {
    key: `own:${path}`,
    folders: (signal) => everything((cursor) => listFolders({ parent: path, cursor, limit: PAGE }, signal)),
    page: (order, cursor, signal) => found({ folder: path, subfolders: false, owner }, order, cursor, signal),
    isThere: (signal) => isOwnFolder(path, signal),
    holds: (file) => file.folder === path && file.owner === owner,
    concerns: (folder) => folder === null || folder === path || folder.startsWith(inside),
    hrefOf: (folder) => href("files", folder.path.split("/")),
    sorts: true,
    target: account.value?.role === "viewer" ? null : { folder: path, folderId: null },
  };
}

/** What others granted. */
export function grantedToMe(): Source {
  return {
    key: "granted",
    folders: (signal) => everything((cursor) => listFolders({ shared: true, cursor, limit: PAGE }, signal)),
    page: (_order, cursor, signal) => listed({ shared: true }, cursor, signal),
    isThere: () => Promise.resolve(true),
    holds: () => null,
    concerns: () => true,
    hrefOf: (folder) => href("shared", [folder.id]),
    sorts: false,
    target: null,
  };
}

/** A folder of somebody else, by its id. */
export function grantedFolder(id: string): Source {
  return {
    key: `granted:${id}`,
    folders: (signal) => everything((cursor) => listFolders({ parent_id: id, cursor, limit: PAGE }, signal)),
    page: (_order, cursor, signal) => listed({ folder_id: id }, cursor, signal),
    isThere: () => Promise.resolve(true),
    holds: () => null,
    concerns: () => true,
    hrefOf: (folder) => href("shared", [folder.id]),
    sorts: false,
    target: { folder: "", folderId: id },
  };
}

/** What is found by words and filters, which are those of `GET /api/files/search`. */
export function search(query: Record<string, string>): Source {
  const asked: Query = { ...query };
  if (query.kind) asked.kind = query.kind.split(",");
  if (query.tag) asked.tag = query.tag.split(",").map((one) => one.trim()).filter(Boolean);
  return {
    key: `search:${JSON.stringify(query)}`,
    folders: () => Promise.resolve([]),
    page: (order, cursor, signal) => found(asked, order, cursor, signal),
    isThere: () => Promise.resolve(true),
    holds: () => null,
    concerns: () => true,
    hrefOf: () => "",
    sorts: true,
    target: null,
  };
}

async function isOwnFolder(path: string, signal: AbortSignal): Promise<boolean> {
  if (path === "") return true;
  const parent = path.split("/").slice(0, -1).join("/");
  const folders = await everything((cursor) => listFolders({ parent, cursor, limit: PAGE }, signal));
  return folders.some((folder) => folder.path === path);
}

function found(
  query: Query,
  { by, descending }: Order,
  cursor: string | null,
  signal: AbortSignal,
): Promise<FoundFiles> {
  return searchFiles({ ...query, sort: by, order: descending ? "desc" : "asc", cursor, limit: PAGE }, signal);
}

async function listed(query: Query, cursor: string | null, signal: AbortSignal): Promise<FoundFiles> {
  const page = await listFiles({ ...query, cursor, limit: PAGE }, signal);
  return { ...page, total: null, total_is_estimate: false };
}
