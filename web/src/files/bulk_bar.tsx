import type { JSX } from "preact";
import { account } from "../api/session";
import { t } from "../strings";
import { Button } from "../ui/button";
import { toastProblem } from "../ui/toast";
import { discard, move, tag } from "./actions";
import { download } from "./download";
import type { Listing } from "./listing";
import type { Selection } from "./selection";

/** What can be done with everything that is selected. */
export function BulkBar({ selection, listing }: { selection: Selection; listing: Listing }): JSX.Element | null {
  const n = selection.ids.value.size;
  if (n === 0) return null;
  const items = selection.items();
  const may = account.value?.role !== "viewer";
  const files = items.filter((item) => item.kind === "file");
  const done = (work: () => Promise<void> | void): void => {
    void work();
    selection.clear();
  };
  return (
    <div class="bulk" role="toolbar" aria-label={t("files.selected", { n })}>
      <Button label={t("files.clearSelection")} icon="close" look="quiet" bare onClick={() => selection.clear()} />
      <strong aria-live="polite">{t("files.selected", { n })}</strong>
      <span class="grow" />
      <Button label={t("files.download")} icon="download" look="quiet" onClick={() => void download(items).catch(toastProblem)} />
      {may && files.length > 0 && <Button label={t("files.tags")} icon="tag" look="quiet" onClick={() => tag(files, listing)} />}
      {may && listing.source.sorts && <Button label={t("files.move")} icon="move" look="quiet" onClick={() => move(items, listing)} />}
      {may && <Button label={t("files.delete")} icon="trash" look="quiet" onClick={() => done(() => discard(items, listing))} />}
    </div>
  );
}
