import { effect, signal } from "@preact/signals";
import { address, call } from "./client";
import { session } from "./session";
import type { ServerEvent } from "./types";

type Listener = (event: ServerEvent) => void;

const SHORTEST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;

/** Whether what happens elsewhere is heard of at once. */
export const live = signal(false);

const listeners = new Set<Listener>();
let socket: WebSocket | null = null;
let lastEventId = "";
let failures = 0;
let waiting: ReturnType<typeof setTimeout> | undefined;

/**
 * Hear of what happens, of all types; `reset` means: look for yourself how things stand.
 *
 * @returns what ends it.
 */
export function onEvent(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Listen while somebody is signed in, and come again whenever the connection ends. */
export function startListening(): void {
  effect(() => {
    if (session.value === "in") void connect();
    else leave();
  });
  addEventListener("online", () => {
    failures = 0;
    if (session.value === "in") void connect();
  });
}

async function connect(): Promise<void> {
  if (socket !== null) return;
  clearTimeout(waiting);
  let ticket: string;
  try {
    ticket = (await call<{ ticket: string }>("POST", "auth/ticket")).ticket;
  } catch {
    comeAgain();
    return;
  }
  if (socket !== null || session.value !== "in") return;
  const url = address("ws", { ticket, last_event_id: lastEventId || null }).replace(/^http/, "ws");
  const opened = new WebSocket(url);
  socket = opened;
  opened.onopen = () => {
    failures = 0;
    live.value = true;
  };
  opened.onmessage = ({ data }) => {
    const event = JSON.parse(data as string) as ServerEvent;
    lastEventId = event.id;
    for (const listener of [...listeners]) listener(event);
  };
  opened.onclose = () => {
    if (socket !== opened) return;
    socket = null;
    live.value = false;
    comeAgain();
  };
}

function comeAgain(): void {
  if (session.value !== "in") return;
  const wait_ms = Math.min(LONGEST_WAIT_MS, SHORTEST_WAIT_MS * 2 ** failures++);
  clearTimeout(waiting);
  waiting = setTimeout(() => void connect(), wait_ms);
}

function leave(): void {
  clearTimeout(waiting);
  const left = socket;
  socket = null;
  live.value = false;
  left?.close();
}
