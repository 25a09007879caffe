import { bulk, changeFile, changeFolder, deleteFile, deleteFolder, makeFolder, takeBack } from "../api/files";
import type { FileMetadata } from "../api/types";
import { t } from "../strings";
import { askText, openDialog } from "../ui/dialog";
import { lazy } from "../ui/lazy";
import { toast, toastProblem } from "../ui/toast";
import { idsIn } from "./download";
import { idOf, nameOf, type Item, type Listing } from "./listing";

/** What can be done with files and folders; each shows its outcome, and what went wrong in words. */

const MoveDialog = lazy(() => import("./move_dialog"));
const TagsDialog = lazy(() => import("./tags_dialog"));

export function rename(item: Item, listing: Listing): void {
  const name = nameOf(item);
  const stem = item.kind === "file" ? name.lastIndexOf(".") : -1;
  askText({
    title: t("files.rename"),
    label: t("files.newName"),
    confirm: t("files.rename"),
    value: name,
    ...(stem > 0 && { selected: stem }),
    run: async (text) => {
      if (item.kind === "file") listing.put(await changeFile(item.file.id, { name: text }));
      else {
        await changeFolder(item.folder.id, { name: text });
        await listing.refresh();
      }
    },
  });
}

export function newFolder(listing: Listing): void {
  const { target } = listing.source;
  if (target === null) return;
  askText({
    title: t("files.newFolder"),
    label: t("files.folderName"),
    confirm: t("files.create"),
    run: async (name) => {
      const path = target.folder === "" ? name : `${target.folder}/${name}`;
      await makeFolder(path, target.folderId ?? undefined);
      await listing.refresh();
    },
  });
}

/** Put things into the trash, with a way back. */
export async function discard(items: Item[], listing: Listing): Promise<void> {
  try {
    const inFolders = items.filter((item) => item.kind === "folder");
    const gone = (await Promise.all(items.map(idsIn))).flat();
    const own = items.flatMap((item) => (item.kind === "file" ? [item.file.id] : []));
    const failed = own.length === 1 && own[0] ? await one(own[0]) : await problems(bulk("delete", own));
    for (const { folder } of inFolders) await deleteFolder(folder.id);
    listing.remove(new Set(items.map(idOf)));
    if (failed !== null) {
      toast(failed, { tone: "problem" });
      await listing.refresh();
      return;
    }
    const undo = (): void => void restore(gone, inFolders, listing);
    const [only] = items;
    const text = items.length === 1 && only ? t("files.deletedOne", { name: nameOf(only) }) : t("files.deleted", { n: items.length });
    toast(text, { action: { label: t("files.undo"), run: undo } });
  } catch (error) {
    toastProblem(error);
    await listing.refresh();
  }
}

async function one(id: string): Promise<null> {
  await deleteFile(id);
  return null;
}

async function restore(ids: string[], folders: Item[], listing: Listing): Promise<void> {
  try {
    for (const id of ids) await takeBack(id);
    for (const item of folders) {
      // One that was empty does not come back with a file.
      if (item.kind === "folder") await makeFolder(item.folder.path).catch(() => undefined);
    }
    toast(t("files.restored", { n: Math.max(ids.length, 1) }));
  } catch (error) {
    toastProblem(error);
  }
  await listing.refresh();
}

export function move(items: Item[], listing: Listing): void {
  openDialog((close) => <MoveDialog items={items} close={close} run={(folder) => moveTo(folder, items, listing)} />);
}

async function moveTo(folder: string, items: Item[], listing: Listing): Promise<void> {
  const files = items.flatMap((item) => (item.kind === "file" ? [item.file.id] : []));
  const failed = await problems(bulk("move", files, { folder }));
  for (const item of items) {
    if (item.kind === "folder") await changeFolder(item.folder.id, { parent: folder });
  }
  await listing.refresh();
  if (failed !== null) toast(failed, { tone: "problem" });
  else toast(t("files.moved", { n: items.length, folder: folder || t("files.title") }));
}

export function tag(items: Item[], listing: Listing): void {
  const files = items.flatMap((item) => (item.kind === "file" ? [item.file] : []));
  openDialog((close) => <TagsDialog files={files} close={close} run={(tags) => tagAll(files, tags, listing)} />);
}

async function tagAll(files: FileMetadata[], tags: Record<string, string>, listing: Listing): Promise<void> {
  const [only] = files;
  if (files.length === 1 && only) {
    listing.put(await changeFile(only.id, { tags }));
    return;
  }
  const outcomes = await bulk("tag", files.map((file) => file.id), { tags });
  for (const { file } of outcomes) if (file) listing.put(file);
  const failed = await problems(Promise.resolve(outcomes));
  if (failed === null) toast(t("files.tagged", { n: files.length }));
  else toast(failed, { tone: "problem" });
}

/** What to say of those that could not be done; null when all could. */
async function problems(asked: ReturnType<typeof bulk>): Promise<string | null> {
  const failed = (await asked).filter((outcome) => outcome.status >= 400);
  const first = failed[0];
  return first === undefined ? null : t("files.someFailed", { n: failed.length, why: first.detail ?? "" });
}

