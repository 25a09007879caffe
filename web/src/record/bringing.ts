import { DetailedError, Upload } from "tus-js-client";
import { address, ApiError, Unreachable } from "../api/client";
import { listFiles } from "../api/files";
import { accessToken } from "../api/session";
import type { FileMetadata, Problem } from "../api/types";
import { checksumOf } from "./checksum";
import { fileNameOf, plainType } from "./sound";
import { change, soundOf, type Recording } from "./store";

const FOLDER = "recordings";
const STALLED_MS = 120_000;
const GONE = [404, 410, 412];

/**
 * Bring a recording to the server, from where an earlier attempt came to, and see that all of it
 * is there. A recording that is there already is not sent again.
 *
 * @returns what its file in the folder `recordings` is called.
 * @throws ApiError the server does not take it, or has something else (code `differs`);
 *   Unreachable when there is no network.
 */
export async function bring(recording: Recording, onProgress: (share: number) => void): Promise<string> {
  const sound = await soundOf(recording);
  const checksum = await checksumOf(sound);
  const isIt = (file: FileMetadata | undefined): boolean => file?.size === sound.size && file.checksum === checksum;
  const known = recording.uploadUrl === null ? null : recording.fileName;
  for (let number = 1; ; number += 1) {
    const name = known ?? fileNameOf(recording, number);
    const there = await find(name);
    if (isIt(there)) return name;
    if (there !== undefined && known === null) continue;
    try {
      await upload(recording, sound, name, onProgress);
    } catch (error) {
      if (!(error instanceof ApiError) || !GONE.includes(error.status)) throw error;
      // The part of it is no more, or somebody took the name.
      if (known === null && error.status !== 412) throw error;
      await change(recording.id, { uploadUrl: null, fileName: null });
      return bring({ ...recording, uploadUrl: null, fileName: null }, onProgress);
    }
    if (isIt(await find(name))) return name;
    await change(recording.id, { uploadUrl: null, fileName: null });
    throw new ApiError(422, "differs", name);
  }
}

async function find(name: string): Promise<FileMetadata | undefined> {
  return (await listFiles({ folder: FOLDER, name })).items[0];
}

function upload(recording: Recording, sound: Blob, name: string, onProgress: (share: number) => void): Promise<void> {
  const tags = { mode: "recap", recorded: recording.startedAt, recording: recording.id };
  return new Promise((resolve, reject) => {
    let watch: ReturnType<typeof setTimeout> | undefined;
    const settle = (error: Error | null): void => {
      clearTimeout(watch);
      removeEventListener("offline", leave);
      if (error === null) resolve();
      else reject(wordsOf(error));
    };
    const leave = (): void => {
      void one.abort();
      settle(new Unreachable());
    };
    const moved = (): void => {
      clearTimeout(watch);
      watch = setTimeout(leave, STALLED_MS);
    };
    const one = new Upload(sound, {
      // With both it would begin anew whenever the server does not answer well.
      ...(recording.uploadUrl === null ? { endpoint: address("tus/") } : { uploadUrl: recording.uploadUrl }),
      metadata: { filename: name, folder: FOLDER, filetype: plainType(recording), tags: JSON.stringify(tags) },
      headers: { "If-None-Match": "*" },
      retryDelays: null,
      storeFingerprintForResuming: false,
      onBeforeRequest: async (request) => request.setHeader("Authorization", `Bearer ${await accessToken()}`),
      onUploadUrlAvailable: () => void change(recording.id, { uploadUrl: one.url, fileName: name }),
      onProgress: (sent, all) => {
        moved();
        onProgress(sent / all);
      },
      onSuccess: () => settle(null),
      onError: settle,
    });
    addEventListener("offline", leave);
    moved();
    one.start();
  });
}

function wordsOf(error: Error): Error {
  const answer = error instanceof DetailedError ? error.originalResponse : null;
  if (!answer) return new Unreachable();
  try {
    const told = JSON.parse(answer.getBody()) as Problem;
    return new ApiError(answer.getStatus(), told.code, told.detail, told.advice ?? null);
  } catch {
    return new ApiError(answer.getStatus(), "http", String(answer.getStatus()));
  }
}
