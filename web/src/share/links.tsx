import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import {
  makeShare,
  makeUploadLink,
  revokeShare,
  revokeUploadLink,
  sharesOf,
  uploadLinksOf,
  type Limits,
  type Share,
  type UploadLink,
} from "../api/shares";
import { inWords } from "../errors";
import { formatDay } from "../format";
import { t } from "../strings";
import { Skeleton } from "../ui/page";
import { toastProblem } from "../ui/toast";
import { LimitsForm } from "./limits";
import { LinkList } from "./link_list";
import { MadeLink } from "./made_link";

interface LinkSet<T> {
  list: () => Promise<T[]>;
  make: (limits: Limits) => Promise<T>;
  revoke: (id: string) => Promise<void>;
}

/** Links by which whoever has them can fetch a file. */
export function FileLinks({ id }: { id: string }): JSX.Element {
  const set = { list: () => sharesOf(id), make: (body: Limits) => makeShare(id, body), revoke: revokeShare };
  return <Links set={set} count="max_downloads" title={t("share.links")} hint={t("share.linksHint")} />;
}

/** Links by which others bring files into a folder. */
export function FolderLinks({ id }: { id: string }): JSX.Element {
  const set = { list: () => uploadLinksOf(id), make: (body: Limits) => makeUploadLink(id, body), revoke: revokeUploadLink };
  return <Links set={set} count="max_files" titled title={t("share.uploadLinks")} hint={t("share.uploadLinksHint")} />;
}

interface Props<T> {
  set: LinkSet<T>;
  count: "max_downloads" | "max_files";
  titled?: boolean;
  title: string;
  hint: string;
}

function Links<T extends Share | UploadLink>({ set, count, titled, title, hint }: Props<T>): JSX.Element {
  const [links, setLinks] = useState<T[] | null>(null);
  const [made, setMade] = useState<string | null>(null);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const load = async (): Promise<void> => {
    try {
      setLinks(await set.list());
    } catch (error) {
      setProblem(inWords(error));
    }
  };
  useEffect(() => void load(), []);
  const make = async (limits: Limits): Promise<boolean> => {
    setBusy(true);
    setProblem("");
    try {
      setMade((await set.make(limits)).url ?? null);
      await load();
      return true;
    } catch (error) {
      setProblem(inWords(error));
      return false;
    } finally {
      setBusy(false);
    }
  };
  const revoke = async (id: string): Promise<void> => {
    try {
      await set.revoke(id);
      await load();
    } catch (error) {
      toastProblem(error);
    }
  };
  return (
    <>
      <h3>{title}</h3>
      <p class="hint">{hint}</p>
      <LimitsForm count={count} {...(titled && { titled })} busy={busy} make={make} />
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {made && <MadeLink url={made} />}
      {links === null && !problem && <Skeleton lines={1} />}
      {links !== null && links.length > 0 && <LinkList title={title} links={links} nameOf={nameOf} revoke={(one) => void revoke(one.id)} />}
    </>
  );
}

const nameOf = (link: Share | UploadLink): string =>
  "title" in link && link.title !== "" ? link.title : t("share.madeAt", { time: formatDay(link.created_at) });
