import { effect, signal } from "@preact/signals";
import { ApiError } from "../api/client";
import { account, readAccount, renew, session } from "../api/session";
import { inWords } from "../errors";
import { t } from "../strings";
import { keepsCopies } from "./keeping";
import { change, recordingsOf, remove, type Recording } from "./store";

/**
 * What waits is sent by one tab at a time, one recording behind the other, whenever the server can
 * be reached; it leaves this device when the server has all of it.
 */

const LOCK = "haulier.recordings.sending";
const SHORTEST_WAIT_MS = 2000;
const LONGEST_WAIT_MS = 5 * 60_000;
// 409: browsers repeat a request that was cut by themselves; the next attempt asks how far it came.
const SOON_BETTER = [401, 409, 423, 429];

/** The recording that this or another tab sends, and how much of it is there. */
export const sending = signal<{ id: string; share: number } | null>(null);
/** The server was asked in vain, and will be asked again. */
export const outOfReach = signal(false);

const told = new BroadcastChannel("haulier.recordings.sending");
let started = false;
let asked = false;
let failures = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Send from now on, by itself. */
export function startSending(): void {
  if (started) return;
  started = true;
  told.onmessage = ({ data }: MessageEvent<typeof sending.value>) => (sending.value = data);
  effect(() => {
    if (session.value === "in") sendSoon();
  });
  addEventListener("online", sendAnew);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && sendAnew());
  // The service worker hears of the network also while the page sleeps.
  navigator.serviceWorker?.addEventListener("message", ({ data }) => data === "send" && sendAnew());
}

/** Try at once, however often it failed. */
export function sendAnew(): void {
  failures = 0;
  outOfReach.value = false;
  sendSoon();
}

function sendSoon(): void {
  clearTimeout(timer);
  if (asked || session.value !== "in") return;
  asked = true;
  void navigator.locks.request(LOCK, async () => {
    asked = false;
    await sendAll();
  });
}

async function sendAll(): Promise<void> {
  try {
    for (let next = await nextOne(); next !== undefined; next = await nextOne()) {
      show(next, 0);
      await sendOne(next);
      outOfReach.value = false;
      failures = 0;
    }
  } catch {
    outOfReach.value = true;
    const wait_ms = Math.min(LONGEST_WAIT_MS, SHORTEST_WAIT_MS * 2 ** failures++);
    timer = setTimeout(sendSoon, wait_ms);
    void askForWakeUp();
  } finally {
    show(null, 0);
  }
}

/** What has waited longest. */
async function nextOne(): Promise<Recording | undefined> {
  const owner = account.value?.id;
  if (owner === undefined || session.value !== "in") return undefined;
  return (await recordingsOf(owner)).findLast((one) => one.state === "waiting");
}

/** Send one; throws when it has to be tried again. */
async function sendOne(recording: Recording): Promise<void> {
  const { bring } = await import("./bringing");
  try {
    const fileName = await bring(recording, (share) => show(recording, share));
    if (keepsCopies()) await change(recording.id, { state: "sent", fileName, uploadUrl: null });
    else await remove(recording.id);
    // What they keep on the server is more now; where that can't be asked it is shown later.
    void readAccount().catch(() => undefined);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) await renew();
    if (SOON_BETTER.includes(error.status) || error.status >= 500) throw error;
    const problem = error.code === "differs" ? t("record.differs") : inWords(error);
    await change(recording.id, { state: "failed", problem });
  }
}

function show(recording: Recording | null, share: number): void {
  sending.value = recording && { id: recording.id, share };
  told.postMessage(sending.value);
}

async function askForWakeUp(): Promise<void> {
  // With a network it would come at once, again and again, while the server can't be reached.
  if (navigator.onLine) return;
  const registration = await navigator.serviceWorker?.getRegistration();
  const sync = (registration as { sync?: { register(tag: string): Promise<void> } } | undefined)?.sync;
  await sync?.register("recordings").catch(() => undefined);
}
