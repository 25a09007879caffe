import type { JSX } from "preact";
import { t } from "../strings";
import { Empty, PageHead } from "../ui/page";

export default function SearchPage(): JSX.Element {
  return (
    <>
      <PageHead title={t("app.search")} />
      <Empty icon="search" title={t("app.search")} />
    </>
  );
}
