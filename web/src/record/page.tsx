import type { JSX } from "preact";
import { t } from "../strings";
import { Empty, PageHead } from "../ui/page";

export default function RecordPage(): JSX.Element {
  return (
    <>
      <PageHead title={t("record.title")} />
      <Empty icon="microphone" title={t("record.title")} />
    </>
  );
}
