import { account } from "../api/session";
import { t } from "../strings";
import type { MenuItem } from "../ui/menu";
import { openShare, openVersions } from "../ui/opening";
import { toastProblem } from "../ui/toast";
import { discard, move, rename, tag } from "./actions";
import { download } from "./download";
import type { Item, Listing } from "./listing";

/** What can be done with one thing. */
export function menuOf(item: Item, listing: Listing, open: () => void): MenuItem[] {
  const items: MenuItem[] = [
    { label: t("files.open"), icon: item.kind === "file" ? "image" : "folder", run: open },
    { label: t("files.download"), icon: "download", run: () => void download([item]).catch(toastProblem) },
  ];
  if (account.value?.role === "viewer") return items;
  const own = item.kind === "folder" ? item.folder : item.file;
  items.push(
    {
      label: t("files.share"),
      icon: "share",
      run: () => openShare(item.kind === "file" ? { file: item.file } : { folder: item.folder }),
    },
    { label: t("files.rename"), icon: "edit", run: () => rename(item, listing) },
  );
  if (own.owner === account.value?.id) items.push({ label: t("files.move"), icon: "move", run: () => move([item], listing) });
  if (item.kind === "file") {
    const { file } = item;
    items.push(
      { label: t("files.tags"), icon: "tag", run: () => tag([item], listing) },
      { label: t("files.versions"), icon: "history", run: () => openVersions(file) },
    );
  }
  items.push({ label: t("files.delete"), icon: "trash", danger: true, run: () => void discard([item], listing) });
  return items;
}
