import { signal } from "@preact/signals";
import type { Upload as TusUpload } from "tus-js-client";
import { address } from "../api/client";
import { accessToken, distrust } from "../api/session";
import type { Problem } from "../api/types";
import { t } from "../strings";
import { forget, keep, type Kept } from "./store";

export type Status =
  | "waiting" // for its turn
  | "sending"
  | "paused"
  | "offline" // tried again by itself
  | "signedOut" // goes on when one has signed in
  | "conflict" // there is a file of its name
  | "lost" // the file has to be chosen again
  | "failed"
  | "done";

const SMALL_BYTES = 1 << 20;
const LONGEST_WAIT_S = 30;
const CONFLICTS = new Set([409, 412]);

/** One file on its way to the server, by tus. */
export class Upload {
  readonly status = signal<Status>("waiting");
  readonly sent = signal(0);
  readonly problem = signal("");
  /** When it may be tried again, by Date.now(). */
  notBefore = 0;
  /** How often in a row it could not be sent. */
  private failures = 0;
  /** Whether a file of its name gets a new version. */
  private replaces = false;
  private tus: TusUpload | null = null;

  /** `changed` is called when it makes room for others, or may go on. */
  constructor(
    readonly kept: Kept,
    private file: File | Blob | null,
    private readonly changed: () => void,
  ) {
    if (file === null) this.status.value = "lost";
    else if (kept.paused) this.status.value = "paused";
  }

  get isOpen(): boolean {
    return this.status.value !== "done";
  }

  /** Send it, from where it was. */
  async send(): Promise<void> {
    const { kept, file } = this;
    if (file === null) return this.become("lost");
    this.status.value = "sending";
    const { Upload: Tus } = await import("tus-js-client").catch(() => ({ Upload: null }));
    // It may have been paused or cancelled while the code was fetched.
    if (this.status.peek() !== "sending") return;
    if (Tus === null) return this.wait(null);
    const tus: TusUpload = new Tus(file as File, {
      endpoint: address("tus/", { folder_id: kept.folderId }),
      uploadUrl: kept.url,
      metadata: { filename: kept.name, folder: kept.folder, ...(file.type && { filetype: file.type }) },
      retryDelays: null,
      storeFingerprintForResuming: false,
      uploadDataDuringCreation: kept.size > 0 && kept.size <= SMALL_BYTES,
      onBeforeRequest: async (request) => {
        const token = await accessToken();
        if (token === null) throw new SignedOut();
        request.setHeader("Authorization", `Bearer ${token}`);
        if (request.getMethod() === "POST" && !this.replaces) request.setHeader("If-None-Match", "*");
      },
      onUploadUrlAvailable: () => {
        kept.url = tus.url;
        if (this.isOpen) void keep(kept);
      },
      onProgress: (sent) => {
        this.failures = 0;
        this.sent.value = sent;
      },
      onSuccess: () => {
        this.sent.value = kept.size;
        void forget(kept.id);
        this.become("done");
      },
      onError: (error) => this.fail(error),
    });
    this.tus = tus;
    tus.start();
  }

  pause(): void {
    void this.tus?.abort();
    this.kept.paused = true;
    void keep(this.kept);
    this.become("paused");
  }

  /** Go on after a pause, an error, or when its file was chosen again. */
  resume(): void {
    this.kept.paused = false;
    this.failures = 0;
    this.problem.value = "";
    void keep(this.kept);
    this.become(this.file === null ? "lost" : "waiting");
  }

  /** Take the file that was chosen again; false where it is another one. */
  found(file: File): boolean {
    const { size, lastModified } = this.kept;
    if (file.size !== size || file.lastModified !== lastModified) return false;
    this.file = file;
    this.resume();
    return true;
  }

  /** Become a new version of the file of its name, or a file beside it. */
  settle(how: "replace" | "both"): void {
    if (how === "replace") this.replaces = true;
    else this.kept.name = another(this.kept.name);
    this.kept.url = null;
    this.resume();
  }

  /** End it; what the server has of it is forgotten, at once where it can be reached. */
  async cancel(): Promise<void> {
    const { url, id } = this.kept;
    this.become("done");
    await this.tus?.abort().catch(() => undefined);
    await forget(id);
    if (url === null) return;
    const { Upload: Tus } = await import("tus-js-client");
    const headers = { Authorization: `Bearer ${(await accessToken()) ?? ""}` };
    await Tus.terminate(url, { headers, retryDelays: [0, 1000, 3000] }).catch(() => undefined);
  }

  private become(status: Status): void {
    this.status.value = status;
    this.changed();
  }

  private fail(error: Failure): void {
    if (this.status.value !== "sending") return;
    const answer = error.originalResponse ?? null;
    const status = answer?.getStatus() ?? 0;
    if (status === 401 || isSignedOut(error)) {
      distrust();
      this.failures += 1;
      // The token may just have ended: a new one is asked for with the next try.
      return this.become(this.failures > 1 || isSignedOut(error) ? "signedOut" : "waiting");
    }
    if (CONFLICTS.has(status) && this.kept.url === null && !this.replaces) return this.become("conflict");
    if (status === 0 || status === 423 || status === 429 || status >= 500) return this.wait(answer);
    this.problem.value = words(answer);
    this.become("failed");
  }

  private wait(answer: Answer | null): void {
    const told_s = Number(answer?.getHeader("Retry-After") ?? 0);
    const wait_s = Math.max(told_s, Math.min(LONGEST_WAIT_S, 2 ** this.failures));
    this.failures += 1;
    this.notBefore = Date.now() + wait_s * 1000;
    this.problem.value = answer === null ? t("uploads.unreachable") : t("uploads.busy");
    this.become("offline");
  }
}

/** "a.jpg" becomes "a (2).jpg", and that "a (3).jpg". */
export function another(name: string): string {
  const [, stem = name, number = "1", ending = ""] = /^(.+?)(?: \((\d+)\))?(\.[^.]*)?$/.exec(name) ?? [];
  return `${stem} (${Number(number) + 1})${ending}`;
}

class SignedOut extends Error {}

interface Answer {
  getStatus(): number;
  getHeader(name: string): string | undefined;
  getBody(): string;
}

type Failure = Error & { originalResponse?: Answer | null; causingError?: Error | null };

const isSignedOut = (error: Failure): boolean => error instanceof SignedOut || error.causingError instanceof SignedOut;

function words(answer: Answer | null): string {
  try {
    const { code, detail, advice } = JSON.parse(answer?.getBody() ?? "") as Problem;
    if (code === "quota-exceeded") return t("uploads.quota");
    if (code === "content-refused") return t("uploads.refused", { why: detail });
    return [detail, advice].filter(Boolean).join(". ");
  } catch {
    return t("uploads.failed");
  }
}
