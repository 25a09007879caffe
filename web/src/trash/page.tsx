import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { onEvent } from "../api/events";
import { takeBack } from "../api/files";
import { readAccount } from "../api/session";
import { emptyTrash, listTrash, removeForGood } from "../api/trash";
import type { FileMetadata } from "../api/types";
import { inWords } from "../errors";
import { t } from "../strings";
import { Button } from "../ui/button";
import { ask } from "../ui/dialog";
import { Empty, PageHead, Problem, Skeleton } from "../ui/page";
import { toast, toastProblem } from "../ui/toast";
import { TrashRow } from "./row";
import "../style/trash.css";

/** What was deleted: to have back, or to remove for good. */
export default function TrashPage(): JSX.Element {
  const [files, setFiles] = useState<FileMetadata[] | null>(null);
  const [more, setMore] = useState<string | null>(null);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [problem, setProblem] = useState<string | null>(null);
  const load = async (cursor: string | null = null): Promise<void> => {
    try {
      const page = await listTrash(cursor);
      setFiles((before) => (cursor === null ? page.items : [...(before ?? []), ...page.items]));
      setMore(page.next_cursor);
      setProblem(null);
    } catch (error) {
      setProblem(inWords(error));
    }
  };
  useEffect(() => {
    void load();
    return onEvent(({ type }) => {
      if (type === "reset" || type === "file.deleted" || type === "file.updated" || type === "file.created") void load();
    });
  }, []);
  const each = async (ids: string[], one: (id: string) => Promise<unknown>, said: () => string): Promise<void> => {
    try {
      for (const id of ids) {
        await one(id);
        setFiles((before) => before?.filter((file) => file.id !== id) ?? null);
      }
      toast(said());
    } catch (error) {
      toastProblem(error);
    }
    setChosen(new Set());
    void load();
    void readAccount().catch(() => undefined);
  };
  const restore = (ids: string[]): Promise<void> => each(ids, takeBack, () => t("trash.restored", { n: ids.length }));
  const remove = async (ids: string[]): Promise<void> => {
    const n = ids.length;
    const sure = { title: t("trash.removeTitle", { n }), text: t("trash.removeText"), confirm: t("trash.remove"), danger: true };
    if (await ask(sure)) await each(ids, removeForGood, () => t("trash.removed", { n }));
  };
  const empty = async (): Promise<void> => {
    const sure = { title: t("trash.emptyTitle"), text: t("trash.emptyText"), confirm: t("trash.empty"), danger: true };
    if (await ask(sure)) await each([""], emptyTrash, () => t("trash.emptied"));
  };
  const toggle = (id: string): void => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const ids = [...chosen].filter((id) => files?.some((file) => file.id === id));
  return (
    <>
      <PageHead title={t("trash.title")}>
        {files !== null && files.length > 0 && <Button label={t("trash.empty")} icon="trash" onClick={() => void empty()} />}
      </PageHead>
      {problem !== null ? (
        <Problem text={problem} retry={() => void load()} />
      ) : files === null ? (
        <Skeleton />
      ) : files.length === 0 ? (
        <Empty icon="trash" title={t("trash.nothing")} text={t("trash.nothingText")} />
      ) : (
        <>
          <div class="trash-bar" role="group" aria-label={t("trash.selection")}>
            <label>
              <input
                type="checkbox"
                checked={ids.length === files.length}
                indeterminate={ids.length > 0 && ids.length < files.length}
                onChange={() => setChosen(ids.length === files.length ? new Set() : new Set(files.map((file) => file.id)))}
              />
              {ids.length > 0 ? t("trash.chosen", { n: ids.length }) : t("trash.all")}
            </label>
            {ids.length > 0 && (
              <>
                <Button label={t("trash.restore")} icon="retry" onClick={() => void restore(ids)} />
                <Button label={t("trash.remove")} icon="trash" onClick={() => void remove(ids)} />
              </>
            )}
          </div>
          <ul class="trash-list" aria-label={t("trash.title")}>
            {files.map((file) => (
              <TrashRow
                key={file.id}
                file={file}
                chosen={chosen.has(file.id)}
                toggle={() => toggle(file.id)}
                restore={() => void restore([file.id])}
                remove={() => void remove([file.id])}
              />
            ))}
          </ul>
          {more !== null && (
            <div class="trash-more">
              <Button label={t("trash.more")} onClick={() => void load(more)} />
            </div>
          )}
        </>
      )}
    </>
  );
}
