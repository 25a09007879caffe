import type { JSX } from "preact";
import { account, forgetHere, signOutEverywhere } from "../api/session";
import { formatSize } from "../format";
import { chooseTheme, theme, type Theme } from "../state/theme";
import { t } from "../strings";
import { Button } from "../ui/button";
import { ask } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { PageHead } from "../ui/page";
import { toastProblem } from "../ui/toast";
import { OwnLinks } from "./links";
import { PasswordForm } from "./password";
import "../style/settings.css";

const THEMES: Theme[] = ["system", "light", "dark"];

/** One's account, how the app looks, the password, and signing out. */
export default function SettingsPage(): JSX.Element {
  return (
    <>
      <PageHead title={t("settings.title")} />
      <div class="settings">
        <Who />
        <Appearance />
        {account.value?.role !== "viewer" && <OwnLinks />}
        <PasswordForm />
        <SigningOut />
      </div>
    </>
  );
}

function Who(): JSX.Element | null {
  const known = account.value;
  if (known === null) return null;
  const used = formatSize(known.used);
  return (
    <section class="card" aria-label={t("settings.account")}>
      <div class="who">
        <Icon name="user" />
        <div>
          <h2>{known.name}</h2>
          <p class="hint">{t(`settings.roles.${known.role}`)}</p>
        </div>
      </div>
      {known.quota === null ? (
        <p>{t("nav.used", { used })}</p>
      ) : (
        <>
          <meter aria-label={t("nav.storage")} min={0} max={known.quota} high={known.quota * 0.9} value={known.used} />
          <p class="hint">{t("nav.usedOf", { used, quota: formatSize(known.quota) })}</p>
        </>
      )}
    </section>
  );
}

function Appearance(): JSX.Element {
  return (
    <section class="card">
      <h2 id="appearance">{t("settings.appearance")}</h2>
      <div class="choices" role="radiogroup" aria-labelledby="appearance">
        {THEMES.map((one) => (
          <label key={one}>
            <input type="radio" name="theme" value={one} checked={theme.value === one} onChange={() => chooseTheme(one)} />
            {t(`settings.themes.${one}`)}
          </label>
        ))}
      </div>
    </section>
  );
}

function SigningOut(): JSX.Element {
  const everywhere = async (): Promise<void> => {
    const sure = { title: t("settings.everywhere"), text: t("settings.everywhereText"), confirm: t("signIn.signOut") };
    if (await ask(sure)) await signOutEverywhere().catch(toastProblem);
  };
  return (
    <section class="card">
      <h2>{t("settings.sessions")}</h2>
      <p class="hint">{t("settings.sessionsText")}</p>
      <div class="actions">
        <Button label={t("settings.signOutHere")} icon="signOut" onClick={forgetHere} />
        <Button label={t("settings.everywhere")} onClick={() => void everywhere()} />
      </div>
    </section>
  );
}
