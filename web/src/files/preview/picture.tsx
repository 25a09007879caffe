import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { contentOf, linkOf } from "../../api/files";
import { pictureOf } from "../../api/pictures";
import type { FileMetadata } from "../../api/types";
import { formatPercent } from "../../format";
import { t } from "../../strings";
import { Button } from "../../ui/button";
import { Skeleton } from "../../ui/page";
import { toShow } from "../download";
import { Facts } from "./facts";
import { useLoading, useObjectUrl } from "./loading";
import type { ShownProps } from "./stage";

const OF_BROWSERS = new Set(["image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/bmp"]);
const SVG = "image/svg+xml";
const LARGEST_SVG_BYTES = 4 << 20;
const LARGEST_PX = 1280;
const LARGEST_ZOOM = 8;

/** A picture, fitted or larger. What browsers can't show is shown as the server's picture of it. */
export function Picture({ file }: ShownProps): JSX.Element {
  const [broken, setBroken] = useState(false);
  const asLink = OF_BROWSERS.has(file.mime_type ?? "") && !broken;
  const { found, problem } = useLoading((signal) => sourceOf(file, asLink, signal), [file.id, asLink]);
  const made = useObjectUrl(found instanceof Blob ? found : null);
  const source = found instanceof Blob ? made : found;
  if (problem !== null) return <Facts file={file} why={problem} />;
  if (source === null) return <Skeleton lines={1} />;
  return <Zoomed source={source} name={file.name} failed={() => setBroken(true)} />;
}

async function sourceOf(file: FileMetadata, asLink: boolean, signal: AbortSignal): Promise<string | Blob> {
  if (asLink) return toShow(await linkOf(file.id));
  if (file.mime_type === SVG && file.size <= LARGEST_SVG_BYTES) {
    // A data: address has no origin, wherever somebody opens it; in <img> its scripts never run.
    return dataUrl(new Blob([await contentOf(file.id, undefined, signal)], { type: SVG }));
  }
  return pictureOf(file, LARGEST_PX, signal);
}

function dataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error as Error);
    reader.readAsDataURL(blob);
  });
}

interface ZoomedProps {
  source: string;
  name: string;
  failed: () => void;
}

function Zoomed({ source, name, failed }: ZoomedProps): JSX.Element {
  const [zoom, setZoom] = useState(1);
  const [loaded, setLoaded] = useState(false);
  const image = useRef<HTMLImageElement>(null);
  const fitted = useRef(0);
  const to = (wanted: number): void => {
    if (zoom === 1) fitted.current = image.current?.clientWidth ?? 0;
    setZoom(Math.min(LARGEST_ZOOM, Math.max(1, wanted)));
  };
  const onWheel = (event: WheelEvent): void => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    to(zoom * (event.deltaY < 0 ? 1.25 : 0.8));
  };
  return (
    <>
      <div class={zoom > 1 ? "picture scrolls" : "picture"} onWheel={onWheel} {...(zoom > 1 && { tabIndex: 0 })}>
        <img
          ref={image}
          class={loaded ? "loaded" : ""}
          src={source}
          alt={name}
          draggable={false}
          style={zoom > 1 ? { width: `${fitted.current * zoom}px`, maxWidth: "none", maxHeight: "none" } : {}}
          onLoad={() => setLoaded(true)}
          onError={failed}
          onDblClick={() => to(zoom > 1 ? 1 : 2)}
        />
      </div>
      <div class="zoom" role="group" aria-label={t("preview.zoom")}>
        <Button label={t("preview.smaller")} icon="less" look="quiet" bare disabled={zoom <= 1} onClick={() => to(zoom / 1.5)} />
        <Button label={zoom > 1 ? formatPercent(zoom) : t("preview.fit")} look="quiet" onClick={() => to(1)} />
        <Button label={t("preview.larger")} icon="add" look="quiet" bare disabled={zoom >= LARGEST_ZOOM} onClick={() => to(zoom * 1.5)} />
      </div>
    </>
  );
}
