import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { inWords } from "../errors";
import { t } from "../strings";
import { Button } from "./button";

interface Toast {
  key: number;
  text: string;
  tone: "plain" | "problem";
  action?: { label: string; run: () => void };
}

const SHOWN_MS = 6000;
const WITH_ACTION_MS = 10_000;

const toasts = signal<Toast[]>([]);
let lastKey = 0;

/** Say something for a moment; with an action, such as undo, longer. */
export function toast(text: string, more: Partial<Pick<Toast, "tone" | "action">> = {}): void {
  const one: Toast = { key: ++lastKey, text, tone: "plain", ...more };
  toasts.value = [...toasts.value.slice(-2), one];
  setTimeout(() => dismiss(one.key), one.action || one.tone === "problem" ? WITH_ACTION_MS : SHOWN_MS);
}

/** Say in words what went wrong. */
export function toastProblem(error: unknown): void {
  toast(inWords(error), { tone: "problem" });
}

/** Where they appear: once, in the app. Screen readers are told of each. */
export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ key, text, tone, action }) => (
        <div key={key} class={`toast ${tone}`}>
          <span>{text}</span>
          {action && (
            <Button
              label={action.label}
              look="quiet"
              onClick={() => {
                dismiss(key);
                action.run();
              }}
            />
          )}
          <Button label={t("app.close")} icon="close" look="quiet" bare onClick={() => dismiss(key)} />
        </div>
      ))}
    </div>
  );
}

function dismiss(key: number): void {
  toasts.value = toasts.value.filter((one) => one.key !== key);
}
