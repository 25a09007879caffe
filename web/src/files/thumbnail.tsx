import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { FileMetadata } from "../api/types";
import { Icon } from "../ui/icons";
import { hasPicture, ICONS, kindOf } from "./kinds";
import { watchThumbnail } from "./thumbnails";

/** A file's picture where it has one, else what kind of file it is. */
export function Thumbnail({ file, size }: { file: FileMetadata; size: number }): JSX.Element {
  const [picture, setPicture] = useState<string | null>(null);
  const wants = hasPicture(file) && file.scan_state !== "infected";
  useEffect(() => {
    if (!wants) return;
    const { picture: watched, done } = watchThumbnail(file);
    const deaf = watched.subscribe(setPicture);
    return () => {
      deaf();
      done();
    };
  }, [file.id, file.version, wants]);
  const kind = kindOf(file);
  return (
    <span class={`thumbnail of-${kind}`}>
      {picture === null ? (
        <Icon name={file.scan_state === "infected" ? "error" : ICONS[kind]} size={size} />
      ) : (
        <img src={picture} alt="" draggable={false} decoding="async" />
      )}
      {picture !== null && kind === "video" && (
        <span class="playable">
          <Icon name="play" size={16} />
        </span>
      )}
    </span>
  );
}
