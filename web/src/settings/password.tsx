import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { call } from "../api/client";
import { account, keep } from "../api/session";
import type { Tokens } from "../api/types";
import { inWords } from "../errors";
import { t } from "../strings";
import { Button } from "../ui/button";
import { toast } from "../ui/toast";

const SHORTEST = 10;

/** Change one's password: other devices are signed out, this one stays. */
export function PasswordForm(): JSX.Element {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [before, after, again] = [useId(), useId(), useId()];
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const given = Object.fromEntries(new FormData(form)) as Record<string, string>;
    if (given.new_password !== given.again) return setProblem(t("settings.different"));
    setBusy(true);
    setProblem("");
    try {
      const { old_password, new_password } = given;
      keep(await call<Tokens>("POST", "auth/password", { body: { old_password, new_password } }));
      form.reset();
      toast(t("settings.changed"));
    } catch (error) {
      setProblem(inWords(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class="card" onSubmit={(event) => void submit(event)}>
      <h2>{t("settings.password")}</h2>
      <p class="hint">{t("settings.passwordText")}</p>
      {/* For password managers: whose it is. */}
      <input type="text" name="username" autocomplete="username" value={account.value?.name ?? ""} readOnly hidden />
      <label class="field" for={before}>
        <span>{t("settings.oldPassword")}</span>
        <input id={before} type="password" name="old_password" autocomplete="current-password" required maxLength={1024} />
      </label>
      <label class="field" for={after}>
        <span>{t("settings.newPassword")}</span>
        <input id={after} type="password" name="new_password" autocomplete="new-password" required minLength={SHORTEST} maxLength={1024} />
      </label>
      <label class="field" for={again}>
        <span>{t("settings.newAgain")}</span>
        <input id={again} type="password" name="again" autocomplete="new-password" required minLength={SHORTEST} maxLength={1024} />
      </label>
      <p class="problem" role="alert">
        {problem}
      </p>
      <Button label={t("settings.change")} look="main" type="submit" disabled={busy} />
    </form>
  );
}
