import type { JSX } from "preact";
import { useId, useRef, useState } from "preact/hooks";
import type { FileMetadata } from "../api/types";
import { inWords } from "../errors";
import { t } from "../strings";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { tagText } from "./tags";

interface Props {
  files: FileMetadata[];
  close: () => void;
  /** Of one file these become its tags; of several they are added. */
  run: (tags: Record<string, string>) => Promise<void>;
}

export default function TagsDialog({ files, close, run }: Props): JSX.Element {
  const [only] = files.length === 1 ? files : [];
  const [tags, setTags] = useState<Record<string, string>>(only?.tags ?? {});
  const [problem, setProblem] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const [field, told] = [useId(), useId()];
  const typed = (): Record<string, string> => {
    const text = input.current?.value.trim() ?? "";
    const [key = "", ...value] = text.split("=");
    return key.trim() === "" ? tags : { ...tags, [key.trim()]: value.join("=").trim() };
  };
  const add = (): void => {
    setTags(typed());
    if (input.current) input.current.value = "";
    input.current?.focus();
  };
  const submit = async (): Promise<void> => {
    try {
      await run(typed());
      close();
    } catch (error) {
      setProblem(inWords(error));
    }
  };
  const remove = (key: string): void => {
    const { [key]: _, ...left } = tags;
    setTags(left);
    input.current?.focus();
  };
  const buttons = (
    <>
      <Button label={t("app.cancel")} onClick={close} />
      <Button label={t("app.save")} look="main" type="submit" />
    </>
  );
  const title = only ? t("files.tagsOf", { name: only.name }) : t("files.tagMany", { n: files.length });
  return (
    <Dialog title={title} close={close} buttons={buttons} onSubmit={() => void submit()}>
      <ul class="tags-edited">
        {Object.entries(tags).map(([key, value]) => (
          <li key={key} class="chip">
            <span>{tagText(key, value)}</span>
            <button type="button" aria-label={t("files.removeTag", { name: key })} onClick={() => remove(key)}>
              <Icon name="close" size={14} />
            </button>
          </li>
        ))}
      </ul>
      <label class="field" for={field}>
        <span>{t("files.addTag")}</span>
        <span class="with-button">
          <input id={field} ref={input} type="text" maxLength={511} autocomplete="off" autofocus aria-describedby={told} />
          <Button label={t("files.add")} onClick={add} />
        </span>
      </label>
      <p class="hint" id={told}>
        {t("files.tagHint")}
      </p>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </Dialog>
  );
}
