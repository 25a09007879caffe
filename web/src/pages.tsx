import type { ComponentType } from "preact";
import { FilesPage } from "./files/page";
import { lazy } from "./ui/lazy";

/** The pages by the first part of their address. Those that are not seen first are fetched later. */
export const PAGES: Record<string, ComponentType> = {
  files: FilesPage,
  search: lazy(() => import("./files/search_page")),
  shared: lazy(() => import("./shared/page")),
  record: lazy(() => import("./record/page")),
  trash: lazy(() => import("./trash/page")),
  admin: lazy(() => import("./admin/page")),
  settings: lazy(() => import("./settings/page")),
};
