import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { account } from "../api/session";
import { readFile, retag, type Tagged } from "../api/versions";
import { inWords } from "../errors";
import { tagText } from "../files/tags";
import { t } from "../strings";
import { Button } from "../ui/button";
import { Icon } from "../ui/icons";

interface Props {
  known: Tagged;
  changed: (now: Tagged) => void;
}

/** The tags of a file, which one adds and removes; a change of somebody else is told, not undone. */
export function EditedTags({ known, changed }: Props): JSX.Element {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const may = account.value?.role !== "viewer";
  const { file, etag } = known;
  const save = async (tags: Record<string, string>): Promise<boolean> => {
    setProblem("");
    setBusy(true);
    try {
      changed(await retag(file.id, tags, etag));
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 412) {
        changed(await readFile(file.id));
        setProblem(t("details.conflict"));
      } else {
        setProblem(inWords(error));
      }
      return false;
    } finally {
      setBusy(false);
      input.current?.focus();
    }
  };
  const add = async (event: Event): Promise<void> => {
    event.preventDefault();
    const [key = "", ...value] = (input.current?.value ?? "").trim().split("=");
    if (key.trim() === "") return;
    const saved = await save({ ...file.tags, [key.trim()]: value.join("=").trim() });
    if (saved && input.current) input.current.value = "";
  };
  const remove = (key: string): void => {
    const { [key]: _, ...left } = file.tags;
    void save(left);
  };
  const tags = Object.entries(file.tags);
  return (
    <div class="tags">
      {tags.length === 0 && !may && <p class="hint">{t("details.noTags")}</p>}
      {tags.length > 0 && (
        <ul>
          {tags.map(([key, value]) => (
            <li key={key} class="chip">
              <span>{tagText(key, value)}</span>
              {may && (
                <button type="button" aria-label={t("details.removeTag", { name: key })} disabled={busy} onClick={() => remove(key)}>
                  <Icon name="close" size={14} />
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
      {may && (
        <form onSubmit={(event) => void add(event)}>
          <input ref={input} type="text" aria-label={t("details.addTag")} placeholder={t("details.tagHint")} maxLength={511} autocomplete="off" />
          <Button label={t("details.addTag")} icon="add" bare type="submit" disabled={busy} />
        </form>
      )}
      <p class="problem" role="alert">
        {problem}
      </p>
    </div>
  );
}
