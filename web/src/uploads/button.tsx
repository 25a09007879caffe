import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { t } from "../strings";
import { Menu } from "../ui/menu";
import { readInput } from "./dropped";
import { add, rejoin, type Target } from "./queue";

/** Choose files, or a folder with all that lies in it. */
export function UploadButton({ target }: { target: Target }): JSX.Element {
  const [files, folder] = [useRef<HTMLInputElement>(null), useRef<HTMLInputElement>(null)];
  const take = (input: HTMLInputElement): void => {
    const chosen = readInput(input.files as FileList);
    const left = new Set(rejoin(chosen.map((one) => one.file)));
    void add(chosen.filter((one) => left.has(one.file)), [], target);
    input.value = "";
  };
  const items = [
    { label: t("uploads.chooseFiles"), icon: "file" as const, run: () => files.current?.click() },
    { label: t("uploads.chooseFolder"), icon: "folder" as const, run: () => folder.current?.click() },
  ];
  return (
    <>
      <input ref={files} class="files-input" type="file" multiple hidden onChange={(event) => take(event.currentTarget)} />
      <input
        ref={folder}
        class="folder-input"
        type="file"
        hidden
        {...{ webkitdirectory: true }}
        onChange={(event) => take(event.currentTarget)}
      />
      <Menu label={t("uploads.upload")} icon="upload" look="main" bare={false} items={items} />
    </>
  );
}
