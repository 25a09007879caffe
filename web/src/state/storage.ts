import { onEvent } from "../api/events";
import { readAccount } from "../api/session";

const TOGETHER_MS = 1500;

/** Ask how much is stored whenever that changed. */
export function followStorage(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  onEvent(({ type }) => {
    if (type !== "file.created" && type !== "file.updated" && type !== "file.deleted" && type !== "reset") return;
    timer ??= setTimeout(() => {
      timer = undefined;
      readAccount().catch(() => undefined);
    }, TOGETHER_MS);
  });
}
