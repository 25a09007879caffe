import type { JSX } from "preact";
import type { FileMetadata } from "../../api/types";
import { Dialog } from "../../ui/dialog";

export interface PreviewProps {
  file: FileMetadata;
  close: () => void;
  /** Show the file before or behind it; undefined at the ends. */
  previous: (() => void) | undefined;
  next: (() => void) | undefined;
}

/** One file, large: picture, film, sound, PDF or text. */
export default function Preview({ file, close }: PreviewProps): JSX.Element {
  return (
    <Dialog title={file.name} close={close} wide>
      <p>{file.mime_type}</p>
    </Dialog>
  );
}
