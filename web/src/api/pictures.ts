import { request, type Query } from "./client";
import type { FileMetadata } from "./types";

/** Levels at evenly spaced points, full scale from -1 to 1. */
export interface Levels {
  duration_s: number;
  lows: number[];
  highs: number[];
  means: number[];
}

const SHORTEST_WAIT_S = 0.5;

/** A small picture of a file, once it is made. Throws what `call` throws: 404 where there can be none. */
export async function pictureOf(file: FileMetadata, size: number, signal: AbortSignal): Promise<Blob> {
  return (await made(file, "thumbnail", { size }, signal)).blob();
}

/** The waveform of a sound, once it is made. Throws as `pictureOf` does. */
export async function levelsOf(file: FileMetadata, signal: AbortSignal): Promise<Levels> {
  return (await (await made(file, "waveform", {}, signal)).json()) as Levels;
}

async function made(file: FileMetadata, what: string, query: Query, signal: AbortSignal): Promise<Response> {
  for (;;) {
    const asked = { ...query, version: file.version };
    const answer = await request("GET", `api/files/${file.id}/${what}`, { query: asked, signal });
    if (answer.status !== 202) return answer;
    const wait_s = Math.max(SHORTEST_WAIT_S, Number(answer.headers.get("Retry-After") ?? 1));
    await new Promise((resolve) => setTimeout(resolve, wait_s * 1000));
  }
}
