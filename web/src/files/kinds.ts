import type { FileMetadata } from "../api/types";
import type { IconName } from "../ui/icons";

export type Kind = "image" | "video" | "audio" | "document" | "archive" | "text" | "unknown";

const ARCHIVES = /zip|tar|gzip|zstd|7z|rar|compressed/;
const DOCUMENTS = /pdf|word|document|sheet|presentation|powerpoint|excel|epub|rtf/;

/** Of files whose sender did not say what they are. */
const BY_ENDING = new Map(
  Object.entries({
    "image/jpeg": "jpg jpeg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/heic": "heic",
    "image/avif": "avif",
    "image/svg+xml": "svg",
    "video/mp4": "mp4 m4v",
    "video/quicktime": "mov",
    "video/x-matroska": "mkv",
    "video/webm": "webm",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/ogg": "ogg opus",
    "application/pdf": "pdf",
    "text/plain": "txt log",
    "text/markdown": "md",
    "text/csv": "csv",
    "application/json": "json",
    "application/zip": "zip",
    "application/gzip": "gz tgz",
  }).flatMap(([type, endings]) => endings.split(" ").map((ending) => [ending, type] as const)),
);

/** What kind of file it is, as its sender said or its name tells. */
export function typeOf({ mime_type, name }: Pick<FileMetadata, "mime_type" | "name">): string {
  return mime_type ?? BY_ENDING.get(name.slice(name.lastIndexOf(".") + 1).toLowerCase()) ?? "";
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
