import type { ComponentType, JSX } from "preact";
import type { FileMetadata } from "../../api/types";
import { t } from "../../strings";
import { Icon } from "../../ui/icons";
import { Film, Sound } from "./player";
import { Facts } from "./facts";
import { Pdf } from "./pdf";
import { Picture } from "./picture";
import { Text } from "./text";

export interface ShownProps {
  file: FileMetadata;
}

const AS_TEXT = /^text\/|^application\/(json|xml|javascript|x-sh|x-yaml|yaml|toml|sql|x-ndjson|xhtml\+xml)$|\+(json|xml)$/;

/** A file, by what kind it is. Nothing of it ever runs: HTML is shown as text, SVG as a picture. */
export function Stage({ file }: ShownProps): JSX.Element {
  if (file.scan_state === "infected") return <NotShown text={t("preview.infected")} />;
  if (file.scan_state === "pending") return <NotShown text={t("preview.scanning")} />;
  const Shown = shownAs(file);
  return <Shown file={file} />;
}

function shownAs(file: FileMetadata): ComponentType<ShownProps> {
  const type = file.mime_type ?? "";
  if (type.startsWith("image/")) return Picture;
  if (type.startsWith("video/")) return Film;
  if (type.startsWith("audio/")) return Sound;
  if (type === "application/pdf") return Pdf;
  return AS_TEXT.test(type) ? Text : Facts;
}

function NotShown({ text }: { text: string }): JSX.Element {
  return (
    <div class="not-shown">
      <Icon name="shield" size={48} />
      <p>{text}</p>
    </div>
  );
}
