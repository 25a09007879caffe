/** What the server answers, as docs/ and its OpenAPI page describe it. Sizes are bytes. */

export interface FileMetadata {
  id: string;
  name: string;
  folder: string;
  size: number;
  mime_type: string | null;
  owner: string;
  version: number;
  created_at: string;
  modified_at: string;
  deleted_at: string | null;
  checksum: string;
  crc32: string;
  sha256: string | null;
  tags: Record<string, string>;
  scan_state: "pending" | "clean" | "infected" | "error" | "skipped";
  scan_detail: string | null;
}

export interface FolderMetadata {
  id: string;
  path: string;
  name: string;
  owner: string;
  created_at: string;
}

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export interface FoundFiles extends Page<FileMetadata> {
  total: number | null;
  total_is_estimate: boolean;
}

export interface Outcome {
  id: string;
  status: number;
  file?: FileMetadata;
  code?: string;
  detail?: string;
}

export interface Account {
  id: string;
  name: string;
  role: "admin" | "user" | "viewer";
  quota: number | null;
  used: number;
  reserved: number;
}

export interface Tokens {
  access_token: string;
  refresh_token: string;
  token_type: "bearer";
  expires_in: number;
}

export interface SignedLink {
  url: string;
  expires_at: string;
}

/** RFC 9457, as `server/problems.py` writes it. */
export interface Problem {
  status: number;
  code: string;
  detail: string;
  advice?: string | null;
  request_id?: string;
}

export interface ServerEvent {
  id: string;
  type: string;
  time: string;
  data: Record<string, unknown>;
}
