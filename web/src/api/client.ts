import type { Problem } from "./types";
import { accessToken, renew } from "./session";

/** The server answered that it would not, with its reason in words. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly advice: string | null = null,
    readonly retryAfterS: number | null = null,
  ) {
    super(detail);
    this.name = "ApiError";
  }
}

/** The server could not be reached. */
export class Unreachable extends Error {
  constructor() {
    super("unreachable");
    this.name = "Unreachable";
  }
}

export type Query = Record<string, string | number | boolean | string[] | null | undefined>;

export interface CallOptions {
  query?: Query;
  /** Sent as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Without a token: signing in. */
  anonymous?: boolean;
}

const LONGEST_PATIENCE_S = 10;

/** The absolute address of a path of this server, wherever the app is mounted. */
export function address(path: string, query: Query = {}): string {
  const url = new URL(path.replace(/^\//, ""), document.baseURI.replace(/#.*$/, ""));
  for (const [key, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined) url.searchParams.append(key, String(one));
    }
  }
  return url.href;
}

/**
 * Ask the server and return its JSON.
 *
 * @throws ApiError what the server said; Unreachable when there is no network;
 *   DOMException AbortError when `signal` was aborted.
 */
export async function call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
  const answer = await request(method, path, options);
  if (answer.status === 204) return undefined as T;
  return (await answer.json()) as T;
}

/** Ask the server and return its answer when it is a good one. Throws as `call` does. */
export async function request(method: string, path: string, options: CallOptions = {}): Promise<Response> {
  let answer = await send(method, path, options);
  if (answer.status === 401 && !options.anonymous && (await renew())) {
    answer = await send(method, path, options);
  }
  if (answer.status === 429 && method === "GET") {
    const wait_s = Number(answer.headers.get("Retry-After") ?? 0);
    if (wait_s <= LONGEST_PATIENCE_S) {
      await new Promise((resolve) => setTimeout(resolve, wait_s * 1000));
      answer = await send(method, path, options);
    }
  }
  if (answer.ok) return answer;
  throw await errorOf(answer);
}

async function send(method: string, path: string, options: CallOptions): Promise<Response> {
  const headers = new Headers(options.headers);
  const token = options.anonymous ? null : await accessToken();
  if (token !== null) headers.set("Authorization", `Bearer ${token}`);
  const init: RequestInit = { method, headers, signal: options.signal ?? null };
  if (options.body !== undefined) {
    headers.set("Content-Type", "application/json");
    init.body = JSON.stringify(options.body);
  }
  try {
    return await fetch(address(path, options.query), init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Unreachable();
  }
}

async function errorOf(answer: Response): Promise<ApiError> {
  const retryAfter = answer.headers.get("Retry-After");
  const retryAfterS = retryAfter === null ? null : Number(retryAfter);
  try {
    const told = (await answer.json()) as Problem;
    return new ApiError(answer.status, told.code, told.detail, told.advice ?? null, retryAfterS);
  } catch {
    return new ApiError(answer.status, "http", answer.statusText || String(answer.status), null, retryAfterS);
  }
}
