import { effect, signal } from "@preact/signals";
import { address } from "./api/client";
import { account, session } from "./api/session";
import { href, navigate, route } from "./router";
import { t } from "./strings";
import { toast } from "./ui/toast";

const LOOKED_FOR_EVERY_MS = 60 * 60_000;

/** A new version of the app: ready, or to be taken up when no tab records any more. */
export const newVersion = signal<"none" | "ready" | "later">("none");

let registration: ServiceWorkerRegistration | undefined;

/**
 * Let the service worker (`sw.ts`) keep the app, so that it opens without network, and send what
 * was recorded.
 */
export function startWorker(): void {
  const workers = navigator.serviceWorker as ServiceWorkerContainer | undefined;
  if (workers !== undefined) {
    if (document.readyState === "complete") void register(workers);
    else addEventListener("load", () => void register(workers), { once: true });
  }
  let begun = false;
  effect(() => {
    if (begun || session.value !== "in") return;
    begun = true;
    void sendRecordings();
  });
}

/** Go over to the new version, unless a tab records: it would be cut off. */
export async function takeUp(): Promise<void> {
  const { isRecordingSomewhere } = await import("./record/store");
  if (await isRecordingSomewhere()) {
    newVersion.value = "later";
    return;
  }
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
  if (registration?.waiting) registration.waiting.postMessage("take over");
  // Another tab was quicker.
  else location.reload();
}

async function register(workers: ServiceWorkerContainer): Promise<void> {
  try {
    registration = await workers.register(address("sw.js"));
  } catch {
    // In private windows and by plain http there is none; all but opening without network works.
    return;
  }
  const known = registration;
  const tell = (): void => {
    if (known.waiting && workers.controller) newVersion.value = "ready";
  };
  tell();
  known.addEventListener("updatefound", () => known.installing?.addEventListener("statechange", tell));
  setInterval(() => void known.update().catch(() => undefined), LOOKED_FOR_EVERY_MS);
}

async function sendRecordings(): Promise<void> {
  // Browsers without locks or databases, as some private windows are, keep nothing.
  if (!("locks" in navigator) || !("indexedDB" in globalThis)) return;
  const [{ startSending }, { findCutOff }] = await Promise.all([import("./record/sending"), import("./record/store")]);
  startSending();
  if ((await findCutOff(account.value?.id ?? "")) > 0 && route.value.page !== "record") {
    toast(t("record.foundCut"), { action: { label: t("record.look"), run: () => navigate(href("record")) } });
  }
}
