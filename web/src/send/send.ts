import { DetailedError, Upload } from "tus-js-client";

/**
 * The page of an upload link: files go one behind the other by tus, which goes on after a lost
 * network, or when the same file is chosen again. Without this script the form sends them at once.
 */

const RETRY_MS = [0, 1000, 3000, 5000, 10_000, ...new Array<number>(60).fill(20_000)];

const form = document.querySelector<HTMLFormElement>("form[data-tus]");
const input = form?.querySelector<HTMLInputElement>("input[type=file]");
const button = form?.querySelector("button");
const list = document.createElement("ul");
let sending = Promise.resolve();

if (form && input && button) {
  list.setAttribute("role", "status");
  form.before(list);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    for (const file of input.files ?? []) {
      const row = rowOf(file);
      sending = sending.then(() => send(file, row, form.dataset));
    }
    form.reset();
  });
  // Leaving breaks off what is on its way: the browser asks first.
  addEventListener("beforeunload", (event) => {
    if (list.querySelector("progress") !== null) event.preventDefault();
  });
}

interface Row {
  told: HTMLElement;
  progress: HTMLProgressElement;
}

function rowOf(file: File): Row {
  const row = document.createElement("li");
  const name = document.createElement("span");
  const told = document.createElement("span");
  const progress = document.createElement("progress");
  name.textContent = file.name;
  progress.max = Math.max(1, file.size);
  progress.value = 0;
  progress.setAttribute("aria-label", file.name);
  row.append(name, told, progress);
  list.append(row);
  return { told, progress };
}

function send(file: File, { told, progress }: Row, words: DOMStringMap): Promise<void> {
  return new Promise((resolve) => {
    const ended = (said: string, failed: boolean): void => {
      told.textContent = said;
      told.className = failed ? "failed" : "";
      progress.remove();
      resolve();
    };
    const upload = new Upload(file, {
      endpoint: new URL(words.tus ?? "", location.href).href,
      metadata: { filename: file.name, filetype: file.type },
      retryDelays: RETRY_MS,
      removeFingerprintOnSuccess: true,
      onProgress: (sent) => (progress.value = sent),
      onSuccess: () => ended(words.arrived ?? "", false),
      onError: (error) => ended(reasonOf(error) ?? words.failed ?? "", true),
    });
    upload.findPreviousUploads().then(
      ([before]) => {
        if (before) upload.resumeFromPreviousUpload(before);
        upload.start();
      },
      () => upload.start(),
    );
  });
}

/** Why the server does not take it, in its words. */
function reasonOf(error: Error | DetailedError): string | null {
  const body = error instanceof DetailedError ? error.originalResponse?.getBody() : undefined;
  try {
    return (JSON.parse(body ?? "") as { detail: string }).detail;
  } catch {
    return null;
  }
}
