import { ApiError, Unreachable } from "./api/client";
import { t } from "./strings";

/** What went wrong, and what to do, as the server says it or in our words. */
export function inWords(error: unknown): string {
  if (error instanceof Unreachable) return t("app.unreachable");
  if (!(error instanceof ApiError)) return t("app.failed");
  if (error.status === 429) return t("app.tooMany", { n: error.retryAfterS ?? 60 });
  return sentence(error.message) + (error.advice === null ? "" : ` ${error.advice}`);
}

function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
