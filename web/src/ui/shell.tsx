import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { account, forgetHere } from "../api/session";
import { formatSize } from "../format";
import { href, navigate, route } from "../router";
import { t } from "../strings";
import { Icon, type IconName } from "./icons";
import { Menu } from "./menu";

const ENTRIES: { page: string; icon: IconName; label: string; admin?: boolean }[] = [
  { page: "files", icon: "folder", label: t("nav.files") },
  { page: "shared", icon: "people", label: t("nav.shared") },
  { page: "record", icon: "microphone", label: t("nav.record") },
  { page: "trash", icon: "trash", label: t("nav.trash") },
  { page: "admin", icon: "shield", label: t("nav.admin"), admin: true },
];

export const online = signal(navigator.onLine);
addEventListener("online", () => (online.value = true));
addEventListener("offline", () => (online.value = false));

/** What is around every page. */
export function Shell({ children }: { children: ComponentChildren }): JSX.Element {
  return (
    <div class="shell">
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.querySelector<HTMLElement>("#main h1")?.focus();
        }}
      >
        {t("app.skip")}
      </a>
      <header class="top">
        <a class="brand" href={href("files")} aria-label={t("app.name")}>
          <span class="brand-mark">
            <Icon name="upload" />
          </span>
          <span>{t("app.name")}</span>
        </a>
        <SearchBox />
        <AccountMenu />
      </header>
      <nav class="side" aria-label={t("app.navigation")}>
        <ul>
          {ENTRIES.filter((one) => !one.admin || account.value?.role === "admin").map((one) => (
            <li key={one.page}>
              <a href={href(one.page)} aria-current={route.value.page === one.page ? "page" : undefined}>
                <Icon name={one.icon} />
                <span>{one.label}</span>
              </a>
            </li>
          ))}
        </ul>
        <Storage />
      </nav>
      <main id="main">
        {!online.value && (
          <p class="banner" role="status">
            <Icon name="offline" /> {t("app.offline")}
          </p>
        )}
        {children}
      </main>
    </div>
  );
}

function SearchBox(): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const asked = route.value.page === "search" ? (route.value.query.get("q") ?? "") : "";
  useEffect(() => {
    if (input.current !== null && document.activeElement !== input.current) input.current.value = asked;
  }, [asked]);
  const submit = (event: Event): void => {
    event.preventDefault();
    const query = new URLSearchParams(route.value.page === "search" ? route.value.query : "");
    query.set("q", input.current?.value ?? "");
    navigate(href("search", [], Object.fromEntries(query)));
  };
  return (
    <form class="search" role="search" onSubmit={submit}>
      <Icon name="search" />
      <input ref={input} type="search" name="q" aria-label={t("app.search")} placeholder={t("app.search")} defaultValue={asked} enterkeyhint="search" />
    </form>
  );
}

function AccountMenu(): JSX.Element {
  const items = [
    { label: t("nav.settings"), icon: "settings" as const, run: () => navigate(href("settings")) },
    { label: t("nav.trash"), icon: "trash" as const, run: () => navigate(href("trash")) },
    { label: t("signIn.signOut"), icon: "signOut" as const, run: forgetHere },
  ];
  return <Menu label={account.value?.name ?? t("app.menu")} icon="user" items={items} />;
}

function Storage(): JSX.Element | null {
  const known = account.value;
  if (known === null) return null;
  const used = formatSize(known.used);
  if (known.quota === null) return <p class="storage">{t("nav.used", { used })}</p>;
  return (
    <div class="storage">
      <meter aria-label={t("nav.storage")} min={0} max={known.quota} high={known.quota * 0.9} value={known.used} />
      <p>{t("nav.usedOf", { used, quota: formatSize(known.quota) })}</p>
    </div>
  );
}
