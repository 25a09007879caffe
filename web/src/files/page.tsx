import type { JSX } from "preact";
import { t } from "../strings";
import { Empty, PageHead } from "../ui/page";

export function FilesPage(): JSX.Element {
  return (
    <>
      <PageHead title={t("files.title")} />
      <Empty icon="folder" title={t("files.title")} />
    </>
  );
}
