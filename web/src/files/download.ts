import { address, call, type Query } from "../api/client";
import { everything, linkOf, searchFiles } from "../api/files";
import { account } from "../api/session";
import type { SignedLink } from "../api/types";
import { toast } from "../ui/toast";
import { t } from "../strings";
import { PAGE } from "./source";
import type { Item } from "./listing";

const MOST_IN_A_ZIP = 1000;

/** Have the browser save a file, or several as one ZIP archive. Throws what `call` throws. */
export async function download(items: Item[]): Promise<void> {
  const [only] = items;
  if (items.length === 1 && only?.kind === "file") {
    save(here(await linkOf(only.file.id), { inline: false }), only.file.name);
    return;
  }
  const ids = (await Promise.all(items.map(idsIn))).flat();
  if (ids.length === 0) return toast(t("files.nothingInIt"));
  if (ids.length > MOST_IN_A_ZIP) return toast(t("files.tooManyForZip", { n: MOST_IN_A_ZIP }), { tone: "problem" });
  save(here(await call<SignedLink>("POST", "api/files/zip", { body: { ids } })), "files.zip");
}

/** The ids of a file, or of all files in a folder of one's own. */
export async function idsIn(item: Item): Promise<string[]> {
  if (item.kind === "file") return [item.file.id];
  const owner = account.value?.id;
  const query = { folder: item.folder.path, owner, limit: PAGE };
  return (await everything((cursor) => searchFiles({ ...query, cursor }))).map((file) => file.id);
}

/** A link of the server as this page reaches it, whatever a proxy between calls it. */
export function here({ url }: SignedLink, query: Query = {}): string {
  return address(new URL(url).pathname.split("/").slice(-2).join("/"), query);
}

/** The same for what is looked at in the page, which may load nothing from elsewhere. */
export const toShow = (link: SignedLink): string => here(link, { redirect: false });

function save(url: string, name: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}
