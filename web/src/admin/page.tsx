import type { ComponentType, JSX } from "preact";
import { account } from "../api/session";
import { href, route } from "../router";
import { t, type Text } from "../strings";
import { Empty, PageHead } from "../ui/page";
import { AuditLog } from "./audit";
import { Overview } from "./overview";
import { Users } from "./users";
import { Webhooks } from "./webhooks";
import "../style/admin.css";

const PARTS: { part: string; label: Text; Shown: ComponentType }[] = [
  { part: "", label: "admin.overview", Shown: Overview },
  { part: "users", label: "admin.users", Shown: Users },
  { part: "audit", label: "admin.audit", Shown: AuditLog },
  { part: "webhooks", label: "admin.webhooks", Shown: Webhooks },
];

/** For admins: how the server is, who may use it, what was done on it, and who is told of it. */
export default function AdminPage(): JSX.Element {
  const at = route.value.rest[0] ?? "";
  const Shown = PARTS.find(({ part }) => part === at)?.Shown ?? Overview;
  if (account.value?.role !== "admin") {
    return (
      <>
        <PageHead title={t("admin.title")} />
        <Empty icon="shield" title={t("admin.onlyAdmins")} />
      </>
    );
  }
  return (
    <>
      <PageHead title={t("admin.title")} />
      <nav class="tabs" aria-label={t("admin.title")}>
        {PARTS.map(({ part, label }) => (
          <a key={part} href={href("admin", part === "" ? [] : [part])} aria-current={part === at ? "page" : undefined}>
            {t(label)}
          </a>
        ))}
      </nav>
      <Shown key={at} />
    </>
  );
}
