import type { JSX } from "preact";
import { changeUser, listUsers, type UserAccount } from "../api/admin";
import { everything } from "../api/files";
import { account } from "../api/session";
import { formatSize, formatDay } from "../format";
import { t } from "../strings";
import { Button } from "../ui/button";
import { ask, openDialog } from "../ui/dialog";
import { Menu } from "../ui/menu";
import { toast, toastProblem } from "../ui/toast";
import { Loaded } from "./loaded";
import { UserDialog } from "./user_dialog";

/** The accounts: made, changed, disabled and enabled again. */
export function Users(): JSX.Element {
  return (
    <Loaded load={() => everything(listUsers)}>
      {(users, reload) => (
        <>
          <div class="filters">
            <Button
              label={t("admin.newUser")}
              icon="add"
              look="main"
              onClick={() => openDialog((close) => <UserDialog close={close} done={reload} />)}
            />
          </div>
          <div class="table">
            <table>
              <thead>
                <tr>
                  <th scope="col">{t("admin.name")}</th>
                  <th scope="col">{t("admin.role")}</th>
                  <th scope="col">{t("admin.used")}</th>
                  <th scope="col">{t("admin.since")}</th>
                  <th scope="col">{t("admin.state")}</th>
                  <th scope="col" class="end">
                    <span class="sr-only">{t("admin.actions")}</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {users.map((user) => (
                  <UserRow key={user.id} user={user} reload={reload} />
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </Loaded>
  );
}

function UserRow({ user, reload }: { user: UserAccount; reload: () => void }): JSX.Element {
  const used = formatSize(user.used);
  const own = user.id === account.value?.id;
  return (
    <tr class={user.disabled ? "disabled" : ""}>
      <td data-name={t("admin.name")}>
        <strong>{user.name}</strong>
      </td>
      <td data-name={t("admin.role")}>{t(`settings.roles.${user.role}`)}</td>
      <td data-name={t("admin.used")}>
        {user.quota === null ? used : t("nav.usedOf", { used, quota: formatSize(user.quota) })}
      </td>
      <td data-name={t("admin.since")}>{formatDay(user.created_at)}</td>
      <td data-name={t("admin.state")}>{user.disabled ? t("admin.disabled") : t("admin.enabled")}</td>
      <td class="end">
        <Menu
          label={t("admin.actionsFor", { name: user.name })}
          icon="more"
          items={[
            {
              label: t("admin.change"),
              icon: "edit" as const,
              run: () => openDialog((close) => <UserDialog user={user} close={close} done={reload} />),
            },
            ...(own
              ? []
              : [
                  user.disabled
                    ? { label: t("admin.enable"), icon: "check" as const, run: () => void enable(user, reload) }
                    : { label: t("admin.disable"), icon: "lock" as const, danger: true, run: () => void disable(user, reload) },
                ]),
          ]}
        />
      </td>
    </tr>
  );
}

async function disable(user: UserAccount, done: () => void): Promise<void> {
  const { name } = user;
  const sure = { title: t("admin.disableTitle", { name }), text: t("admin.disableText"), confirm: t("admin.disable"), danger: true };
  if (!(await ask(sure))) return;
  await changeUser(user.id, { disabled: true }).then(() => toast(t("admin.wasDisabled", { name })), toastProblem);
  done();
}

async function enable(user: UserAccount, done: () => void): Promise<void> {
  await changeUser(user.id, { disabled: false }).then(() => toast(t("admin.wasEnabled", { name: user.name })), toastProblem);
  done();
}
