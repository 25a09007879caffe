import type { JSX } from "preact";
import { t } from "../strings";
import { Empty, PageHead } from "../ui/page";

export default function AdminPage(): JSX.Element {
  return (
    <>
      <PageHead title={t("admin.title")} />
      <Empty icon="shield" title={t("admin.title")} />
    </>
  );
}
