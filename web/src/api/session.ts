import { signal } from "@preact/signals";
import { address, ApiError, call, Unreachable } from "./client";
import type { Account, Tokens } from "./types";

/**
 * Who is signed in. The access token is kept in memory, the refresh token in localStorage: the
 * Content-Security-Policy lets no script run that is not ours (docs/adr/0008).
 */

export type SessionState =
  | "starting"
  | "out" // nobody is signed in
  | "in"
  | "expired"; // somebody was, and has to sign in again: what is on the page is kept

const REFRESH_KEY = "haulier.refresh";
const ACCOUNT_KEY = "haulier.account";
const LOCK = "haulier.refresh";
const EARLY_S = 60;

export const session = signal<SessionState>("starting");
export const account = signal<Account | null>(null);

let access: { token: string; until: number } | null = null;
let renewing: Promise<boolean> | null = null;

/** Take up the session that this browser has, if any. */
export async function start(): Promise<void> {
  if (localStorage.getItem(REFRESH_KEY) === null) {
    session.value = "out";
    return;
  }
  const known = localStorage.getItem(ACCOUNT_KEY);
  if (known !== null) {
    // Shown at once, also without network; what it says is asked anew.
    account.value = JSON.parse(known) as Account;
    session.value = "in";
  }
  try {
    await readAccount();
  } catch (error) {
    if (!(error instanceof Unreachable)) session.value = account.value === null ? "out" : "expired";
    else if (account.value === null) session.value = "out";
  }
}

/** Sign in. Throws what `call` throws. */
export async function signIn(username: string, password: string): Promise<void> {
  const body = { username, password };
  keep(await call<Tokens>("POST", "auth/token", { body, anonymous: true }));
  const before = account.value;
  await readAccount();
  if (before !== null && before.id !== account.value?.id) location.reload();
}

/** Forget the tokens of this browser alone. */
export function forgetHere(): void {
  access = null;
  localStorage.removeItem(REFRESH_KEY);
  localStorage.removeItem(ACCOUNT_KEY);
  account.value = null;
  session.value = "out";
}

/** Make every token void, on all devices. Throws what `call` throws. */
export async function signOutEverywhere(): Promise<void> {
  await call("POST", "auth/logout");
  forgetHere();
}

/** Take the tokens of an answer that carried new ones, as that of a new password does. */
export function keep(tokens: Tokens): void {
  localStorage.setItem(REFRESH_KEY, tokens.refresh_token);
  access = { token: tokens.access_token, until: Date.now() + (tokens.expires_in - EARLY_S) * 1000 };
}

/** Ask again who is signed in and how much they keep. Throws what `call` throws. */
export async function readAccount(): Promise<void> {
  const found = await call<Account>("GET", "auth/me");
  localStorage.setItem(ACCOUNT_KEY, JSON.stringify(found));
  account.value = found;
  session.value = "in";
}

/** The token for a request; a new one where the old one ends soon; null where there is none. */
export async function accessToken(): Promise<string | null> {
  if (access !== null && Date.now() < access.until) return access.token;
  await renew();
  return access?.token ?? null;
}

/** Ask for a new token next time: the server did not take this one. */
export function distrust(): void {
  access = null;
}

/**
 * Get a new access token, once for all who ask at the same time; false when one has to sign in.
 *
 * @throws Unreachable when there is no network.
 */
export function renew(): Promise<boolean> {
  renewing ??= inOneTab(renewAlone).finally(() => {
    renewing = null;
  });
  return renewing;
}

async function inOneTab(work: () => Promise<boolean>): Promise<boolean> {
  // There are no locks where the page came by plain http from another machine.
  const locks = navigator.locks as LockManager | undefined;
  return locks === undefined ? work() : ((await locks.request(LOCK, work)) as boolean);
}

async function renewAlone(): Promise<boolean> {
  const refresh_token = localStorage.getItem(REFRESH_KEY);
  if (refresh_token === null) return expired();
  let answer: Response;
  try {
    answer = await fetch(address("auth/refresh"), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ refresh_token }),
    });
  } catch {
    throw new Unreachable();
  }
  if (answer.ok) {
    keep((await answer.json()) as Tokens);
    return true;
  }
  if (answer.status === 401 || answer.status === 422) return expired();
  throw new ApiError(answer.status, "http", answer.statusText);
}

function expired(): false {
  access = null;
  // Another tab may have signed out; here the work is kept until somebody signs in again.
  localStorage.removeItem(REFRESH_KEY);
  session.value = account.value === null ? "out" : "expired";
  return false;
}
