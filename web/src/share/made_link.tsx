import type { JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { t } from "../strings";
import { Button } from "../ui/button";
import { copied } from "./copying";

/** The address of a link that was just made: it is told once. */
export function MadeLink({ url }: { url: string }): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const [said, setSaid] = useState("");
  const id = useId();
  useEffect(() => {
    input.current?.focus();
    input.current?.select();
  }, [url]);
  const copy = async (): Promise<void> => {
    setSaid((await copied(url, input.current)) ? t("share.copied") : t("share.copyYourself"));
  };
  return (
    <div class="made-link">
      <label for={id}>{t("share.made")}</label>
      <div class="row">
        <input id={id} ref={input} type="text" readOnly value={url} onFocus={(event) => event.currentTarget.select()} />
        <Button label={t("share.copy")} icon="copy" look="main" onClick={() => void copy()} />
      </div>
      <p class="hint" role="status">
        {said || t("share.once")}
      </p>
    </div>
  );
}
