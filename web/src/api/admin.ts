import { call, type Query } from "./client";
import type { Account, Page } from "./types";

/** What only admins may ask. Each call throws what `call` throws. */

export interface UserAccount extends Account {
  disabled: boolean;
  created_at: string;
}

export interface Totals {
  users: number;
  used_bytes: number;
  reserved_bytes: number;
  uploads: Record<string, number>;
  files: Record<string, number>;
  jobs: Record<string, number>;
}

export interface AuditEntry {
  instance: string;
  number: number;
  at: string;
  actor: string | null;
  action: string;
  object: string | null;
  status: number | null;
  address: string | null;
  request_id: string | null;
  details: Record<string, unknown>;
}

export interface Health {
  status: string;
  checks: Record<string, string>;
}

export interface Webhook {
  id: string;
  url: string;
  events: string[];
  created_at: string;
  disabled_at: string | null;
  disabled_why: string | null;
  secret?: string;
}

export const totals = (): Promise<Totals> => call("GET", "api/files/admin/metrics");

/** How the server is; it is asked without a token, and says so with 503 as well. */
export const health = (): Promise<Health> => call("GET", "health/ready", { anonymous: true });

export const listUsers = (cursor: string | null): Promise<Page<UserAccount>> =>
  call("GET", "api/admin/users", { query: { cursor: cursor ?? undefined } });

export const addUser = (body: { name: string; role: string; password: string; quota: number | null }): Promise<UserAccount> =>
  call("POST", "api/admin/users", { body });

export const changeUser = (
  id: string,
  body: { role?: string; password?: string; quota?: number | null; disabled?: boolean },
): Promise<UserAccount> => call("PATCH", `api/admin/users/${id}`, { body });

export const listAudit = (query: Query): Promise<Page<AuditEntry>> => call("GET", "api/files/admin/audit", { query });

export const listWebhooks = async (): Promise<Webhook[]> => (await call<{ items: Webhook[] }>("GET", "api/webhooks")).items;

export const addWebhook = (body: { url: string; events: string[] }): Promise<Webhook> => call("POST", "api/webhooks", { body });

export const changeWebhook = (id: string, body: { disabled: boolean }): Promise<Webhook> =>
  call("PATCH", `api/webhooks/${id}`, { body });

export const removeWebhook = (id: string): Promise<void> => call("DELETE", `api/webhooks/${id}`);

/** A message to a webhook: what it tells of, and what became of it. */
export interface Delivery {
  id: string;
  type: string;
  timestamp: string;
  state: "pending" | "running" | "completed" | "failed" | "cancelled";
  attempts: number;
  next_attempt_at: string | null;
  error: string | null;
}

export const listDeliveries = (id: string, query: Query): Promise<Page<Delivery>> =>
  call("GET", `api/webhooks/${id}/deliveries`, { query });

export const sendAgain = (id: string, message: string): Promise<void> =>
  call("POST", `api/webhooks/${id}/deliveries/${message}/retry`);
