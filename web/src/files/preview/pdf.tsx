import type { JSX } from "preact";
import { contentOf } from "../../api/files";
import { pictureOf } from "../../api/pictures";
import { t } from "../../strings";
import { Skeleton } from "../../ui/page";
import { Facts } from "./facts";
import { useLoading, useObjectUrl } from "./loading";
import type { ShownProps } from "./stage";

const LARGEST_BYTES = 64 << 20;
const PICTURE_PX = 1280;

/** A PDF in the browser's own reader, where it has one; else its first page as a picture. */
export function Pdf({ file }: ShownProps): JSX.Element {
  return navigator.pdfViewerEnabled && file.size <= LARGEST_BYTES ? <Read file={file} /> : <FirstPage file={file} />;
}

function Read({ file }: ShownProps): JSX.Element {
  const { found, problem } = useLoading(async (signal) => {
    // Whatever is in it, it is read as a PDF: never as a page.
    return new Blob([await contentOf(file.id, undefined, signal)], { type: "application/pdf" });
  }, [file.id]);
  const url = useObjectUrl(found);
  if (problem !== null) return <Facts file={file} why={problem} />;
  if (url === null) return <Skeleton lines={1} />;
  return <iframe class="pdf" src={url} title={file.name} />;
}

function FirstPage({ file }: ShownProps): JSX.Element {
  const { found } = useLoading((signal) => pictureOf(file, PICTURE_PX, signal), [file.id]);
  const url = useObjectUrl(found);
  return (
    <Facts file={file} why={t("preview.firstPage")}>
      {url && <img class="poster" src={url} alt={t("preview.firstPageOf", { name: file.name })} />}
    </Facts>
  );
}
