import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { t } from "../strings";
import { Icon, type IconName } from "./icons";

/** The top of a page: its name, which is the window's as well, and what can be done on it. */
export function PageHead({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  useEffect(() => {
    document.title = `${title} · ${t("app.name")}`;
  }, [title]);
  return (
    <div class="page-head">
      <h1 tabIndex={-1}>{title}</h1>
      <div class="actions">{children}</div>
    </div>
  );
}

interface EmptyProps {
  icon: IconName;
  title: string;
  text?: string;
  children?: ComponentChildren;
}

/** What is shown where there is nothing yet, and what to do about it. */
export function Empty({ icon, title, text, children }: EmptyProps): JSX.Element {
  return (
    <div class="empty">
      <Icon name={icon} size={48} />
      <h2>{title}</h2>
      {text && <p>{text}</p>}
      {children}
    </div>
  );
}

/** Something went wrong on a whole page. */
export function Problem({ text, retry }: { text: string; retry: () => void }): JSX.Element {
  return (
    <div class="empty" role="alert">
      <Icon name="error" size={48} />
      <h2>{t("app.failed")}</h2>
      <p>{text}</p>
      <button type="button" class="button plain" onClick={retry}>
        {t("app.again")}
      </button>
    </div>
  );
}

/** Grey lines in the place of what is loading. */
export function Skeleton({ lines = 6 }: { lines?: number }): JSX.Element {
  return (
    <div class="skeleton" aria-busy="true" aria-label={t("app.loading")} role="status">
      {Array.from({ length: lines }, (_, n) => (
        <div key={n} />
      ))}
    </div>
  );
}
