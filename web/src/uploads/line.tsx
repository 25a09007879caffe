import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { formatSize } from "../format";
import { t } from "../strings";
import { Button } from "../ui/button";
import { Icon } from "../ui/icons";
import { toast } from "../ui/toast";
import { rejoin, uploads } from "./queue";
import type { Upload } from "./upload";

/** How one upload stands, and what can be done with it. */
export function UploadLine({ upload }: { upload: Upload }): JSX.Element {
  const { name, size, folder } = upload.kept;
  const status = upload.status.value;
  const bad = status === "failed" || status === "conflict" || status === "lost";
  return (
    <li class={`upload ${status}`} aria-label={name}>
      <div class="about">
        <span class="text" title={folder ? `${folder}/${name}` : name}>
          {name}
        </span>
        <span class={bad ? "problem" : "hint"}>{told(upload)}</span>
        {["sending", "paused", "offline"].includes(status) && size > 0 && (
          <progress max={size} value={upload.sent.value} aria-label={t("uploads.progressOf", { name })} />
        )}
        {status === "conflict" && (
          <div class="choices">
            <Button label={t("uploads.keepBoth")} onClick={() => upload.settle("both")} />
            <Button label={t("uploads.newVersion")} onClick={() => upload.settle("replace")} />
          </div>
        )}
        {status === "lost" && <ChooseAgain />}
      </div>
      {status === "done" ? <Icon name="check" /> : <Controls upload={upload} />}
    </li>
  );
}

function told({ kept, sent, status, problem }: Upload): string {
  const progress = t("uploads.sentOf", { sent: formatSize(sent.value), size: formatSize(kept.size) });
  switch (status.value) {
    case "sending":
      return progress;
    case "paused":
      return `${t("uploads.paused")} · ${progress}`;
    case "offline":
    case "failed":
      return problem.value;
    case "done":
      return formatSize(kept.size);
    default:
      return t(`uploads.states.${status.value}`);
  }
}

function ChooseAgain(): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const take = (element: HTMLInputElement): void => {
    if (rejoin([...(element.files ?? [])]).length > 0) toast(t("uploads.anotherFile"), { tone: "problem" });
    element.value = "";
  };
  return (
    <div class="choices">
      <input ref={input} type="file" hidden onChange={(event) => take(event.currentTarget)} />
      <Button label={t("uploads.chooseAgain")} onClick={() => input.current?.click()} />
    </div>
  );
}

function Controls({ upload }: { upload: Upload }): JSX.Element {
  const { name } = upload.kept;
  const status = upload.status.value;
  const mayPause = status === "sending" || status === "waiting" || status === "offline";
  const cancel = (): void => {
    uploads.value = uploads.value.filter((one) => one !== upload);
    void upload.cancel();
  };
  return (
    <div class="controls">
      {mayPause && <Button label={t("uploads.pause", { name })} icon="pause" look="quiet" bare onClick={() => upload.pause()} />}
      {status === "paused" && (
        <Button label={t("uploads.resume", { name })} icon="play" look="quiet" bare onClick={() => upload.resume()} />
      )}
      {(status === "failed" || status === "offline") && (
        <Button label={t("uploads.retry", { name })} icon="retry" look="quiet" bare onClick={() => upload.resume()} />
      )}
      <Button label={t("uploads.cancel", { name })} icon="close" look="quiet" bare onClick={cancel} />
    </div>
  );
}
