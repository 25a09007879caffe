import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import {
  ownShares,
  ownUploadLinks,
  revokeShare,
  revokeUploadLink,
  type OwnShare,
  type OwnUploadLink,
  type Share,
  type UploadLink,
} from "../api/shares";
import type { Page } from "../api/types";
import { inWords } from "../errors";
import { LinkList } from "../share/link_list";
import { t } from "../strings";
import { Button } from "../ui/button";
import { toastProblem } from "../ui/toast";

/** All links that one made, whatever they lead to. */
export function OwnLinks(): JSX.Element {
  return (
    <section class="card share">
      <h2>{t("settings.links")}</h2>
      <p class="hint">{t("settings.linksText")}</p>
      <Links title={t("share.links")} list={ownShares} revoke={revokeShare} nameOf={fileOf} />
      <Links title={t("share.uploadLinks")} list={ownUploadLinks} revoke={revokeUploadLink} nameOf={folderOf} />
    </section>
  );
}

const fileOf = ({ name }: OwnShare): string => name ?? t("settings.gone");

const folderOf = ({ title, folder }: OwnUploadLink): string =>
  [title, folder ?? t("settings.gone")].filter(Boolean).join(" · ");

interface Props<T> {
  title: string;
  list: (cursor: string | null) => Promise<Page<T>>;
  revoke: (id: string) => Promise<void>;
  nameOf: (link: T) => string;
}

function Links<T extends Share | UploadLink>({ title, list, revoke, nameOf }: Props<T>): JSX.Element {
  const [links, setLinks] = useState<T[] | null>(null);
  const [more, setMore] = useState<string | null>(null);
  const [problem, setProblem] = useState("");
  const load = async (cursor: string | null): Promise<void> => {
    try {
      const page = await list(cursor);
      setLinks((before) => (cursor === null ? page.items : [...(before ?? []), ...page.items]));
      setMore(page.next_cursor);
    } catch (error) {
      setProblem(inWords(error));
    }
  };
  useEffect(() => void load(null), []);
  const end = async (link: T): Promise<void> => {
    try {
      await revoke(link.id);
      const revoked_at = new Date().toISOString();
      setLinks((before) => before?.map((one) => (one.id === link.id ? { ...one, revoked_at } : one)) ?? null);
    } catch (error) {
      toastProblem(error);
    }
  };
  return (
    <>
      <h3>{title}</h3>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {links?.length === 0 && <p class="hint">{t("settings.noLinks")}</p>}
      {links !== null && links.length > 0 && <LinkList title={title} links={links} nameOf={nameOf} revoke={(one) => void end(one)} />}
      {more !== null && <Button label={t("trash.more")} look="quiet" onClick={() => void load(more)} />}
    </>
  );
}
