import { call } from "./client";
import type { FileMetadata, Page } from "./types";

/** Calls about the trash. Each throws what `call` throws. */

export const listTrash = (cursor: string | null): Promise<Page<FileMetadata>> =>
  call("GET", "api/trash", { query: { cursor: cursor ?? undefined, limit: 200 } });

export const removeForGood = (id: string): Promise<void> => call("DELETE", `api/trash/${id}`);

export const emptyTrash = (): Promise<void> => call("DELETE", "api/trash");
