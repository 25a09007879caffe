import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../strings";
import { Icon } from "../ui/icons";
import { toast, toastProblem } from "../ui/toast";
import { readDrop } from "./dropped";
import { add, rejoin, target } from "./queue";

/** Files may be dropped anywhere on the window. */
export function DropZone(): JSX.Element | null {
  const [over, setOver] = useState(false);
  useEffect(() => listenToDrops(setOver), []);
  if (!over) return null;
  const where = target.value;
  const name = where?.folder.split("/").at(-1) || t("files.title");
  return (
    <div class="drop-zone">
      <div>
        <Icon name="upload" size={48} />
        <p>{where === null ? t("uploads.notHere") : t("uploads.dropInto", { name })}</p>
      </div>
    </div>
  );
}

function listenToDrops(setOver: (over: boolean) => void): () => void {
  // Leaving one element for another inside is no leaving.
  let depth = 0;
  const brings = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
  const all: Record<string, (event: DragEvent) => void> = {
    dragenter: (event) => {
      if (!brings(event)) return;
      depth += 1;
      setOver(true);
    },
    dragleave: (event) => {
      if (brings(event) && --depth <= 0) setOver(false);
    },
    dragover: (event) => {
      if (brings(event)) event.preventDefault();
    },
    drop: (event) => {
      if (!brings(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      take(event);
    },
  };
  for (const [kind, listener] of Object.entries(all)) addEventListener(kind, listener as EventListener);
  return () => {
    for (const [kind, listener] of Object.entries(all)) removeEventListener(kind, listener as EventListener);
  };
}

function take({ dataTransfer }: DragEvent): void {
  const where = target.value;
  if (where === null) return toast(t("uploads.notHere"));
  readDrop((dataTransfer as DataTransfer).items).then(({ files, folders }) => {
    const left = new Set(rejoin(files.map((one) => one.file)));
    return add(files.filter((one) => left.has(one.file)), folders, where);
  }, toastProblem);
}
