import type { JSX } from "preact";
import { t } from "../strings";
import { Empty, PageHead } from "../ui/page";

export default function TrashPage(): JSX.Element {
  return (
    <>
      <PageHead title={t("trash.title")} />
      <Empty icon="trash" title={t("trash.title")} />
    </>
  );
}
