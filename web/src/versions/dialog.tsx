import type { JSX } from "preact";
import type { FileMetadata } from "../api/types";
import { t } from "../strings";
import { Dialog } from "../ui/dialog";
import { Versions } from "./versions";

export interface VersionsProps {
  file: FileMetadata;
  close: () => void;
}

/** What a file is and was. */
export default function VersionsDialog({ file, close }: VersionsProps): JSX.Element {
  return (
    <Dialog title={t("versions.of", { name: file.name })} close={close}>
      <Versions file={file} />
    </Dialog>
  );
}
