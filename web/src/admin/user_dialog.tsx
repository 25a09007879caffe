import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { addUser, changeUser, type UserAccount } from "../api/admin";
import { account } from "../api/session";
import type { Account } from "../api/types";
import { inWords } from "../errors";
import { t } from "../strings";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { toast } from "../ui/toast";

const ROLES: Account["role"][] = ["user", "viewer", "admin"];
const MIB = 1 << 20;
const SHORTEST_PASSWORD = 10;

interface Props {
  /** Whose account is changed; without it one is made. */
  user?: UserAccount;
  close: () => void;
  done: () => void;
}

export function UserDialog({ user, close, done }: Props): JSX.Element {
  const [name, setName] = useState(user?.name ?? "");
  const [role, setRole] = useState<Account["role"]>(user?.role ?? "user");
  const [password, setPassword] = useState("");
  const [quota, setQuota] = useState(user?.quota == null ? "" : String(Math.round(user.quota / MIB)));
  const [problem, setProblem] = useState("");
  const [nameId, roleId, passwordId, quotaId] = [useId(), useId(), useId(), useId()];
  const own = user !== undefined && user.id === account.value?.id;
  const submit = async (): Promise<void> => {
    const limits = { role, quota: quota === "" ? null : Math.round(Number(quota) * MIB) };
    try {
      if (user === undefined) await addUser({ name, password, ...limits });
      else await changeUser(user.id, { ...limits, ...(password !== "" && { password }) });
      toast(t(user === undefined ? "admin.wasMade" : "admin.wasChanged", { name }));
      close();
      done();
    } catch (error) {
      setProblem(inWords(error));
    }
  };
  const buttons = (
    <>
      <Button label={t("app.cancel")} onClick={close} />
      <Button label={user === undefined ? t("admin.make") : t("app.save")} look="main" type="submit" />
    </>
  );
  return (
    <Dialog
      title={user === undefined ? t("admin.newUser") : t("admin.changeOf", { name: user.name })}
      close={close}
      buttons={buttons}
      onSubmit={() => void submit()}
    >
      {user === undefined && (
        <label class="field" for={nameId}>
          <span>{t("admin.name")}</span>
          <input
            id={nameId}
            type="text"
            value={name}
            required
            autofocus
            maxLength={64}
            autocomplete="off"
            autocapitalize="none"
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
      )}
      <label class="field" for={roleId}>
        <span>{t("admin.role")}</span>
        <select id={roleId} value={role} disabled={own} onChange={(event) => setRole(event.currentTarget.value as Account["role"])}>
          {ROLES.map((one) => (
            <option key={one} value={one}>
              {t(`settings.roles.${one}`)}
            </option>
          ))}
        </select>
      </label>
      <label class="field" for={passwordId}>
        <span>{t(user === undefined ? "admin.password" : "admin.newPassword")}</span>
        <input
          id={passwordId}
          type="password"
          value={password}
          required={user === undefined}
          minLength={SHORTEST_PASSWORD}
          maxLength={1024}
          autocomplete="new-password"
          onInput={(event) => setPassword(event.currentTarget.value)}
        />
      </label>
      <label class="field" for={quotaId}>
        <span>{t("admin.quota")}</span>
        <input
          id={quotaId}
          type="number"
          min={0}
          step={1}
          value={quota}
          placeholder={t("share.noLimit")}
          onInput={(event) => setQuota(event.currentTarget.value)}
        />
      </label>
      <p class="problem" role="alert">
        {problem}
      </p>
    </Dialog>
  );
}
