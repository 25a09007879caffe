import type { JSX } from "preact";
import { t } from "../strings";
import { Empty, PageHead } from "../ui/page";

export default function SettingsPage(): JSX.Element {
  return (
    <>
      <PageHead title={t("settings.title")} />
      <Empty icon="settings" title={t("settings.title")} />
    </>
  );
}
