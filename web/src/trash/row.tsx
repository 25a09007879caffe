import type { JSX } from "preact";
import type { FileMetadata } from "../api/types";
import { ICONS, kindOf } from "../files/kinds";
import { formatDay, formatSize } from "../format";
import { t } from "../strings";
import { Button } from "../ui/button";
import { Icon } from "../ui/icons";

interface Props {
  file: FileMetadata;
  chosen: boolean;
  toggle: () => void;
  restore: () => void;
  remove: () => void;
}

/** A file in the trash: a tap on it selects it. */
export function TrashRow({ file, chosen, toggle, restore, remove }: Props): JSX.Element {
  const place = file.folder === "" ? t("details.top") : file.folder;
  const facts = [formatSize(file.size), place];
  if (file.deleted_at !== null) facts.push(t("trash.deletedAt", { day: formatDay(file.deleted_at) }));
  return (
    <li class={chosen ? "selected" : ""}>
      <label>
        <input type="checkbox" checked={chosen} onChange={toggle} />
        <Icon name={ICONS[kindOf(file)]} />
        <span>
          <span class="name">{file.name}</span>
          <span class="hint">{facts.join(" · ")}</span>
        </span>
      </label>
      <Button label={t("trash.restoreOf", { name: file.name })} icon="retry" look="quiet" bare onClick={restore} />
      <Button label={t("trash.removeOf", { name: file.name })} icon="trash" look="quiet" bare onClick={remove} />
    </li>
  );
}
