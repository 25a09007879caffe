import { effect, signal } from "@preact/signals";
import type { JSX } from "preact";
import { href } from "../router";
import { t } from "../strings";

/** Whether this page is recording, whatever one looks at on it. */
export const underWay = signal(false);

effect(() => {
  if (!underWay.value) return;
  const stay = (event: Event): void => event.preventDefault();
  addEventListener("beforeunload", stay);
  return () => removeEventListener("beforeunload", stay);
});

/** The way back to the recorder. */
export function RecordingUnderWay(): JSX.Element | null {
  if (!underWay.value) return null;
  return (
    <a class="under-way" href={href("record")}>
      <span class="dot" aria-hidden="true" /> {t("record.underWay")}
    </a>
  );
}
