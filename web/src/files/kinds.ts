import type { FileMetadata } from "../api/types";
import type { IconName } from "../ui/icons";

export type Kind = "image" | "video" | "audio" | "document" | "archive" | "text" | "unknown";

const ARCHIVES = /zip|tar|gzip|zstd|7z|rar|compressed/;
const DOCUMENTS = /pdf|word|document|sheet|presentation|powerpoint|excel|epub|rtf/;

/** Of files whose sender did not say what they are. */
const BY_ENDING: Record<string, string> = {
  jpg: "image/jpeg", jpeg: "image/jpeg", png: "image/png", gif: "image/gif", webp: "image/webp", heic: "image/heic",
  avif: "image/avif", svg: "image/svg+xml", mp4: "video/mp4", mov: "video/quicktime", mkv: "video/x-matroska",
  webm: "video/webm", avi: "video/x-msvideo", mp3: "audio/mpeg", m4a: "audio/mp4", wav: "audio/wav",
  flac: "audio/flac", ogg: "audio/ogg", opus: "audio/ogg", pdf: "application/pdf", txt: "text/plain",
  md: "text/markdown", csv: "text/csv", json: "application/json", zip: "application/zip", gz: "application/gzip",
};

/** What kind of file it is, as its sender said or its name tells. */
export function typeOf({ mime_type, name }: Pick<FileMetadata, "mime_type" | "name">): string {
  return mime_type ?? BY_ENDING[name.slice(name.lastIndexOf(".") + 1).toLowerCase()] ?? "";
}

export function kindOf(file: FileMetadata): Kind {
  const type = typeOf(file);
  const family = type.split("/")[0];
  if (family === "image" || family === "video" || family === "audio") return family;
  if (DOCUMENTS.test(type)) return "document";
  if (ARCHIVES.test(type)) return "archive";
  return family === "text" ? "text" : "unknown";
}

export const ICONS: Record<Kind, IconName> = {
  image: "image",
  video: "video",
  audio: "audio",
  document: "document",
  archive: "archive",
  text: "text",
  unknown: "file",
};

/** Whether the server may have a small picture of it. */
export function hasPicture(file: FileMetadata): boolean {
  const kind = kindOf(file);
  return file.size > 0 && (kind === "image" || kind === "video" || kind === "audio" || typeOf(file) === "application/pdf");
}
