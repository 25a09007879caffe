import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { FileMetadata } from "../api/types";
import type { ShareProps } from "../share/dialog";
import { openDialog } from "./dialog";
import { lazy } from "./lazy";

const ShareDialog = lazy(() => import("../share/dialog"));
const VersionsDialog = lazy(() => import("../versions/dialog"));
const Preview = lazy(() => import("../files/preview/preview"));

export const openShare = (shared: ShareProps["shared"]): void =>
  openDialog((close) => <ShareDialog shared={shared} close={close} />);

export const openVersions = (file: FileMetadata): void =>
  openDialog((close) => <VersionsDialog file={file} close={close} />);

/** Show one of `files`, from which one goes on to those before and behind it. */
export function openPreview(files: FileMetadata[], at: number): void {
  openDialog((close) => <Previewed files={files} first={at} close={close} />);
}

function Previewed({ files, first, close }: { files: FileMetadata[]; first: number; close: () => void }): JSX.Element | null {
  const [at, setAt] = useState(first);
  const file = files[at];
  if (file === undefined) return null;
  return (
    <Preview
      file={file}
      close={close}
      previous={at > 0 ? () => setAt(at - 1) : undefined}
      next={at < files.length - 1 ? () => setAt(at + 1) : undefined}
    />
  );
}
