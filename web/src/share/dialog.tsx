import type { JSX } from "preact";
import type { FileMetadata, FolderMetadata } from "../api/types";
import { t } from "../strings";
import { Dialog } from "../ui/dialog";
import { FileLinks, FolderLinks } from "./links";
import { People } from "./people";
import "../style/share.css";

export interface ShareProps {
  shared: { file: FileMetadata } | { folder: FolderMetadata };
  close: () => void;
}

/** Links to a file or into a folder, and with whom it is shared. */
export default function ShareDialog({ shared, close }: ShareProps): JSX.Element {
  const [place, it] = "file" in shared ? (["files", shared.file] as const) : (["folders", shared.folder] as const);
  return (
    <Dialog title={t("share.of", { name: it.name })} close={close}>
      <div class="share">
        {place === "files" ? <FileLinks id={it.id} /> : <FolderLinks id={it.id} />}
        <hr />
        <People place={place} id={it.id} />
      </div>
    </Dialog>
  );
}
