import type { ComponentChildren, JSX } from "preact";
import type { FileMetadata } from "../../api/types";
import { formatSize, formatTime } from "../../format";
import { t } from "../../strings";
import { Button } from "../../ui/button";
import { Icon } from "../../ui/icons";
import { toastProblem } from "../../ui/toast";
import { download } from "../download";
import { ICONS, kindOf } from "../kinds";

interface Props {
  file: FileMetadata;
  /** Why there is no more to see. */
  why?: string;
  children?: ComponentChildren;
}

/** What is known of a file that can't be shown, and a way to have it. */
export function Facts({ file, why, children }: Props): JSX.Element {
  return (
    <div class="not-shown">
      {children ?? <Icon name={ICONS[kindOf(file)]} size={56} />}
      <p class="facts-name">{file.name}</p>
      <p class="hint">
        {formatSize(file.size)} · {file.mime_type ?? t("preview.unknownType")} · {formatTime(file.modified_at)}
      </p>
      <p>{why ?? t("preview.none")}</p>
      <Button
        label={t("preview.download")}
        icon="download"
        look="main"
        onClick={() => void download([{ kind: "file", file }]).catch(toastProblem)}
      />
    </div>
  );
}
