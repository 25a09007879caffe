import type { Recording } from "./store";

/** What browsers record: all of them one of these, the first that is known is taken. */
const TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4;codecs=opus", "audio/mp4"];
const ENDINGS: Record<string, string> = { "audio/webm": "webm", "audio/ogg": "ogg", "audio/mp4": "m4a" };
const MOST_CHARS = 80;

export const bestType = (): string | undefined => TYPES.find((type) => MediaRecorder.isTypeSupported(type));

/** The type without its codec. */
export const plainType = (recording: Recording): string => recording.type.split(";")[0] as string;

/** What a recording's file is called; with a number where the name is taken. */
export function fileNameOf(recording: Recording, number = 1): string {
  const name = recording.name.normalize("NFC").replace(/[\p{C}\p{Zl}\p{Zp}\\/:*?"<>|]/gu, "-");
  const stem = [...name].slice(0, MOST_CHARS).join("").trim() || recording.id;
  return `${stem}${number > 1 ? ` (${number})` : ""}.${ENDINGS[plainType(recording)] ?? "bin"}`;
}
