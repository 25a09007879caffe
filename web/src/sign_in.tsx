import type { JSX } from "preact";
import { useId, useRef, useState } from "preact/hooks";
import { ApiError, Unreachable } from "./api/client";
import { account, session, signIn } from "./api/session";
import { inWords } from "./errors";
import { href } from "./router";
import { t } from "./strings";
import { Button } from "./ui/button";
import { Icon } from "./ui/icons";

export function SignIn(): JSX.Element {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [name, password] = [useRef<HTMLInputElement>(null), useRef<HTMLInputElement>(null)];
  const [nameId, passwordId] = [useId(), useId()];
  const expired = session.value === "expired";
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      await signIn(name.current?.value ?? "", password.current?.value ?? "");
    } catch (error) {
      setProblem(wordsOf(error));
      password.current?.focus();
      password.current?.select();
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <form onSubmit={(event) => void submit(event)}>
        <span class="brand-mark">
          <Icon name="upload" size={28} />
        </span>
        <h1>{expired ? t("signIn.again") : t("signIn.title")}</h1>
        {expired && <p class="hint">{t("signIn.againWhy")}</p>}
        <label class="field" for={nameId}>
          <span>{t("signIn.name")}</span>
          <input
            id={nameId}
            ref={name}
            type="text"
            name="username"
            autocomplete="username"
            autocapitalize="none"
            required
            autofocus
            defaultValue={account.value?.name ?? ""}
          />
        </label>
        <label class="field" for={passwordId}>
          <span>{t("signIn.password")}</span>
          <input id={passwordId} ref={password} type="password" name="password" autocomplete="current-password" required />
        </label>
        <p class="problem" role="alert">
          {problem}
        </p>
        <Button label={t("signIn.submit")} look="main" type="submit" disabled={busy} />
        <a class="button quiet" href={href("record", [], { alone: "yes" })}>
          <Icon name="microphone" /> {t("record.withoutSignIn")}
        </a>
      </form>
    </main>
  );
}

function wordsOf(error: unknown): string {
  if (error instanceof Unreachable) return t("signIn.unreachable");
  if (error instanceof ApiError && error.status === 401) return t("signIn.wrong");
  return inWords(error);
}
