import type { JSX } from "preact";
import { useLayoutEffect, useId, useRef, useState } from "preact/hooks";
import type { FileMetadata } from "../../api/types";
import { account } from "../../api/session";
import { Details } from "../../details/details";
import { t } from "../../strings";
import { Button } from "../../ui/button";
import { openShare } from "../../ui/opening";
import { toastProblem } from "../../ui/toast";
import { download } from "../download";
import { Stage } from "./stage";
import { swiped } from "./swipe";
import "../../style/preview.css";

export interface PreviewProps {
  file: FileMetadata;
  close: () => void;
  /** Show the file before or behind it; undefined at the ends. */
  previous: (() => void) | undefined;
  next: (() => void) | undefined;
}

/** One file, large: picture, film, sound, PDF or text, and what is known of it. */
export default function Preview({ file, close, previous, next }: PreviewProps): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  const [detailed, setDetailed] = useState(false);
  const name = useId();
  useLayoutEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog?.showModal();
    // Otherwise it is the button that closes it.
    if (dialog?.querySelector("[autofocus]") == null) dialog?.focus();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.altKey || event.ctrlKey || event.metaKey || takesArrows(event.target)) return;
    if (event.key === "ArrowLeft") previous?.();
    else if (event.key === "ArrowRight") next?.();
    else if (event.key === "i") setDetailed(!detailed);
    else return;
    event.preventDefault();
  };
  const swipe = swiped({ left: () => next?.(), right: () => previous?.() });
  return (
    <dialog
      ref={element}
      class="preview"
      tabIndex={-1}
      aria-labelledby={name}
      onKeyDown={onKeyDown}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
    >
      <header>
        <Button label={t("app.close")} icon="close" look="quiet" bare onClick={close} />
        <h2 id={name}>{file.name}</h2>
        <div class="actions">
          {account.value?.role !== "viewer" && (
            <Button label={t("preview.share")} icon="share" look="quiet" bare onClick={() => openShare({ file })} />
          )}
          <Button
            label={t("preview.download")}
            icon="download"
            look="quiet"
            bare
            onClick={() => void download([{ kind: "file", file }]).catch(toastProblem)}
          />
          <Button
            label={t("preview.details")}
            icon="info"
            look="quiet"
            bare
            aria-pressed={detailed}
            onClick={() => setDetailed(!detailed)}
          />
        </div>
      </header>
      <div class="preview-stage" {...swipe}>
        {previous && <Button class="previous" label={t("preview.previous")} icon="back" look="plain" bare onClick={previous} />}
        <Stage key={`${file.id}/${file.version}`} file={file} />
        {next && <Button class="next" label={t("preview.next")} icon="onward" look="plain" bare onClick={next} />}
      </div>
      {detailed && (
        <aside aria-label={t("preview.details")}>
          <Button class="hide" label={t("preview.hideDetails")} icon="close" look="quiet" bare onClick={() => setDetailed(false)} />
          <Details key={file.id} id={file.id} />
        </aside>
      )}
    </dialog>
  );
}

/** Whether arrow keys mean something else there. */
function takesArrows(at: EventTarget | null): boolean {
  return at instanceof HTMLElement && at.closest("input, textarea, select, video, audio, .scrolls") !== null;
}
