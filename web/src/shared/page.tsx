import type { JSX } from "preact";
import { t } from "../strings";
import { Empty, PageHead } from "../ui/page";

export default function SharedPage(): JSX.Element {
  return (
    <>
      <PageHead title={t("shared.title")} />
      <Empty icon="people" title={t("shared.title")} />
    </>
  );
}
