import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { everything, listFolders, makeFolder } from "../api/files";
import type { FolderMetadata } from "../api/types";
import { inWords } from "../errors";
import { t } from "../strings";
import { Button } from "../ui/button";
import { askText, Dialog } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { idOf, type Item } from "./listing";

interface Props {
  items: Item[];
  close: () => void;
  run: (folder: string) => Promise<void>;
}

/** Choose one of one's own folders to move things into. */
export default function MoveDialog({ items, close, run }: Props): JSX.Element {
  const [path, setPath] = useState("");
  const [folders, setFolders] = useState<FolderMetadata[] | null>(null);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [asked, setAsked] = useState(0);
  const moved = new Set(items.map(idOf));
  useEffect(() => {
    const ended = new AbortController();
    everything((cursor) => listFolders({ parent: path, cursor, limit: 1000 }, ended.signal)).then(setFolders, (error) => {
      if (!ended.signal.aborted) setProblem(inWords(error));
    });
    return () => ended.abort();
  }, [path, asked]);
  const submit = async (): Promise<void> => {
    setBusy(true);
    try {
      await run(path);
      close();
    } catch (error) {
      setProblem(inWords(error));
      setBusy(false);
    }
  };
  const create = (): void =>
    askText({
      title: t("files.newFolder"),
      label: t("files.folderName"),
      confirm: t("files.create"),
      run: async (name) => {
        await makeFolder(path === "" ? name : `${path}/${name}`);
        setAsked(asked + 1);
      },
    });
  const parts = path === "" ? [] : path.split("/");
  const name = parts.at(-1) ?? t("files.title");
  const buttons = (
    <>
      <Button label={t("files.newFolder")} icon="add" look="quiet" onClick={create} />
      <span class="grow" />
      <Button label={t("app.cancel")} onClick={close} />
      <Button label={t("files.moveHere")} look="main" type="submit" disabled={busy} />
    </>
  );
  return (
    <Dialog title={t("files.moveTitle", { n: items.length })} close={close} buttons={buttons} onSubmit={() => void submit()}>
      <div class="picker-head">
        {parts.length > 0 && <Button label={t("files.up")} icon="back" look="quiet" bare onClick={() => setPath(parts.slice(0, -1).join("/"))} />}
        <strong>{name}</strong>
      </div>
      <ul class="picker" aria-label={t("files.foldersIn", { name })}>
        {folders?.map((folder) => (
          <li key={folder.id}>
            <button type="button" disabled={moved.has(folder.id)} onClick={() => setPath(folder.path)}>
              <Icon name="folder" />
              <span>{folder.name}</span>
              <Icon name="forward" size={16} />
            </button>
          </li>
        ))}
        {folders?.length === 0 && <li class="hint">{t("files.noFolders")}</li>}
      </ul>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </Dialog>
  );
}
