import { signal } from "@preact/signals";
import { account } from "../api/session";
import { formatTime } from "../format";
import { t } from "../strings";
import { askToPersist } from "./keeping";
import { sendAnew } from "./sending";
import { bestType } from "./sound";
import { add, append, change, remove, soundOf, whileRecording, type Recording } from "./store";
import { underWay } from "./under_way";

/** The one recording that this page makes. It goes on whatever page of the app one looks at. */

export type Phase = "idle" | "asking" | "recording" | "paused" | "ending";
export type Trouble = "insecure" | "denied" | "noMicrophone" | "busy" | "unplugged" | "full" | "unsupported";

const PIECE_MS = 1000;
const BITS_PER_S = 96_000;

export const phase = signal<Phase>("idle");
export const trouble = signal<Trouble | null>(null);
export const current = signal<Recording | null>(null);
export const stream = signal<MediaStream | null>(null);
/** What is in memory alone because there was no room for it. */
export const unsaved = signal<Blob | null>(null);

let recorder: MediaRecorder | null = null;
let before_ms = 0;
let since: number | null = null;

/** How much was recorded until now, pauses left out. */
export function elapsed_s(): number {
  return (before_ms + (since === null ? 0 : performance.now() - since)) / 1000;
}

/** Ask for the microphone and record, until `end` is called or nothing more can be kept. */
export async function begin(): Promise<void> {
  if (phase.value !== "idle") return;
  phase.value = "asking";
  trouble.value = null;
  const heard = await listen();
  if (heard === null) {
    phase.value = "idle";
    return;
  }
  const startedAt = new Date();
  const recording: Recording = {
    id: crypto.randomUUID(),
    owner: account.value?.id ?? "",
    name: t("record.unnamed", { time: formatTime(startedAt.toISOString()) }),
    type: "",
    startedAt: startedAt.toISOString(),
    duration_s: 0,
    size: 0,
    state: "recording",
    problem: null,
    uploadUrl: null,
    fileName: null,
  };
  const awake = stayAwake();
  void askToPersist();
  underWay.value = true;
  await whileRecording(recording.id, () => record(recording, heard)).catch((error: unknown) => {
    trouble.value = isFull(error) ? "full" : "unsupported";
  });
  for (const track of heard.getTracks()) track.stop();
  underWay.value = false;
  void awake.then((lock) => lock?.release());
  stream.value = current.value = recorder = null;
  phase.value = "idle";
}

export function pause(): void {
  if (recorder?.state !== "recording") return;
  recorder.pause();
  before_ms = elapsed_s() * 1000;
  since = null;
  phase.value = "paused";
}

export function resume(): void {
  if (recorder?.state !== "paused") return;
  recorder.resume();
  since = performance.now();
  phase.value = "recording";
}

export function end(): void {
  if (recorder === null || recorder.state === "inactive") return;
  if (since !== null) before_ms = elapsed_s() * 1000;
  since = null;
  phase.value = "ending";
  recorder.stop();
}

/** Give the recording under way another name. */
export async function name(given: string): Promise<void> {
  const recording = current.value;
  if (recording === null || given.trim() === "") return;
  current.value = { ...recording, name: given.trim() };
  await change(recording.id, { name: given.trim() });
}

async function listen(): Promise<MediaStream | null> {
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  try {
    if (!isSecureContext || devices === undefined) trouble.value = "insecure";
    else if (!("MediaRecorder" in globalThis)) trouble.value = "unsupported";
    else return await devices.getUserMedia({ audio: true });
  } catch (error) {
    const names: Record<string, Trouble> = { NotAllowedError: "denied", NotFoundError: "noMicrophone" };
    trouble.value = names[(error as DOMException).name] ?? "busy";
  }
  return null;
}

async function record(recording: Recording, heard: MediaStream): Promise<void> {
  const mimeType = bestType();
  const made = new MediaRecorder(heard, { audioBitsPerSecond: BITS_PER_S, ...(mimeType && { mimeType }) });
  await add({ ...recording, type: made.mimeType || mimeType || "" });
  const ended = new Promise((resolve) => made.addEventListener("stop", resolve));
  const lost: Blob[] = [];
  let writing = Promise.resolve();
  made.ondataavailable = ({ data }) => {
    const at_s = elapsed_s();
    if (data.size > 0) writing = writing.then(() => keep(data, at_s));
  };
  const keep = async (piece: Blob, at_s: number): Promise<void> => {
    try {
      // What follows a piece that was lost is of no use without it.
      if (lost.length > 0) throw new DOMException("", "QuotaExceededError");
      await append(recording.id, piece, at_s);
    } catch (error) {
      lost.push(piece);
      trouble.value = isFull(error) ? "full" : "unsupported";
      end();
    }
  };
  for (const track of heard.getTracks()) {
    track.onended = () => {
      trouble.value = "unplugged";
      end();
    };
  }
  const flush = (): void => {
    if (document.visibilityState === "hidden" && made.state === "recording") made.requestData();
  };
  document.addEventListener("visibilitychange", flush);
  recorder = made;
  made.start(PIECE_MS);
  [before_ms, since] = [0, performance.now()];
  current.value = { ...recording, type: made.mimeType };
  stream.value = heard;
  phase.value = "recording";
  await ended;
  document.removeEventListener("visibilitychange", flush);
  await writing;
  await finish(recording, lost);
}

async function finish(recording: Recording, lost: Blob[]): Promise<void> {
  const kept = await soundOf({ ...recording, type: recorder?.mimeType ?? "" });
  if (lost.length > 0) unsaved.value = new Blob([kept, ...lost], { type: kept.type });
  if (kept.size === 0) await remove(recording.id);
  else await change(recording.id, { state: "waiting" });
  sendAnew();
}

const isFull = (error: unknown): boolean => error instanceof DOMException && error.name === "QuotaExceededError";

async function stayAwake(): Promise<WakeLockSentinel | undefined> {
  const locks = navigator.wakeLock as WakeLock | undefined;
  // A phone that is refused this records on as long as it is not put away.
  return locks?.request("screen").catch(() => undefined);
}
