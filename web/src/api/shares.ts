import { call } from "./client";
import type { Page } from "./types";

const PAGE = 20;

/** A link to a file. Its address is told once, by the answer that makes it. */
export interface Share {
  id: string;
  file_id: string;
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  max_downloads: number | null;
  downloads: number;
  has_password: boolean;
  url?: string;
}

/** A link by which others bring files into a folder. */
export interface UploadLink {
  id: string;
  folder_id: string;
  title: string;
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  max_files: number | null;
  max_bytes: number | null;
  files: number;
  bytes: number;
  has_password: boolean;
  url?: string;
}

/** A link that one made, and its file's name; null where that is gone. */
export interface OwnShare extends Share {
  name: string | null;
}

/** The same for a folder, with its path. */
export interface OwnUploadLink extends UploadLink {
  folder: string | null;
}

export interface Limits {
  password?: string;
  expires_at?: string;
  max_downloads?: number;
  title?: string;
  max_files?: number;
}

export type Level = "read" | "write" | "share" | "owner";

/** Who may do what with a file or folder, and where that comes from. */
export interface Permission {
  user: string | null;
  user_id: string | null;
  role: string | null;
  everybody: boolean;
  permission: Level;
  inherited_from: string | null;
}

/** Which users something is granted to: one of these. */
export interface Whom {
  user?: string;
  role?: string;
  everybody?: boolean;
}

type Place = "files" | "folders";

/** Calls about links and permissions. Each throws what `call` throws. */

export const sharesOf = async (id: string): Promise<Share[]> =>
  (await call<{ items: Share[] }>("GET", `api/files/${id}/shares`)).items;

export const makeShare = (id: string, body: Limits): Promise<Share> => call("POST", `api/files/${id}/shares`, { body });

export const revokeShare = (id: string): Promise<void> => call("DELETE", `api/shares/${id}`);

export const ownShares = (cursor: string | null): Promise<Page<OwnShare>> =>
  call("GET", "api/shares", { query: { cursor, limit: PAGE } });

export const ownUploadLinks = (cursor: string | null): Promise<Page<OwnUploadLink>> =>
  call("GET", "api/upload-links", { query: { cursor, limit: PAGE } });

export const uploadLinksOf = async (id: string): Promise<UploadLink[]> =>
  (await call<{ items: UploadLink[] }>("GET", `api/folders/${id}/upload-links`)).items;

export const makeUploadLink = (id: string, body: Limits): Promise<UploadLink> =>
  call("POST", `api/folders/${id}/upload-links`, { body });

export const revokeUploadLink = (id: string): Promise<void> => call("DELETE", `api/upload-links/${id}`);

export const permissionsOf = async (place: Place, id: string): Promise<Permission[]> =>
  (await call<{ items: Permission[] }>("GET", `api/${place}/${id}/permissions`)).items;

export const grant = async (place: Place, id: string, whom: Whom, permission: Level): Promise<Permission[]> =>
  (await call<{ items: Permission[] }>("PUT", `api/${place}/${id}/permissions`, { body: { ...whom, permission } })).items;

export const revoke = (place: Place, id: string, whom: Whom): Promise<void> =>
  call("DELETE", `api/${place}/${id}/permissions`, { query: { ...whom } });
