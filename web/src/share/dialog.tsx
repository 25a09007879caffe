import type { JSX } from "preact";
import type { FileMetadata, FolderMetadata } from "../api/types";
import { t } from "../strings";
import { Dialog } from "../ui/dialog";

export interface ShareProps {
  shared: { file: FileMetadata } | { folder: FolderMetadata };
  close: () => void;
}

/** Links to a file, and with whom it or a folder is shared. */
export default function ShareDialog({ shared, close }: ShareProps): JSX.Element {
  const { name } = "file" in shared ? shared.file : shared.folder;
  return (
    <Dialog title={t("share.title")} close={close}>
      <p>{name}</p>
    </Dialog>
  );
}
