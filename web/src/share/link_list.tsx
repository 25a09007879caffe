import type { JSX } from "preact";
import type { Share, UploadLink } from "../api/shares";
import { formatDay } from "../format";
import { t } from "../strings";
import { Button } from "../ui/button";
import { Icon } from "../ui/icons";
import "../style/share.css";

interface Props<T> {
  title: string;
  links: T[];
  nameOf: (link: T) => string;
  revoke: (link: T) => void;
}

/** Links: how long they are good, how often they were used, and a way to end each. */
export function LinkList<T extends Share | UploadLink>({ title, links, nameOf, revoke }: Props<T>): JSX.Element {
  return (
    <ul aria-label={title}>
      {links.map((one) => (
        <li key={one.id} class={stateOf(one) === null ? "" : "ended"}>
          <Icon name={one.has_password ? "lock" : "link"} />
          <div>
            <p>{nameOf(one)}</p>
            <p class="hint">{[stateOf(one) ?? untilOf(one), usedOf(one)].join(" · ")}</p>
          </div>
          {one.revoked_at === null && <Button label={t("share.revoke")} look="quiet" onClick={() => revoke(one)} />}
        </li>
      ))}
    </ul>
  );
}

/** Why a link leads nowhere any more; null while it does. */
function stateOf(link: Share | UploadLink): string | null {
  if (link.revoked_at !== null) return t("share.revoked");
  const isOver = link.expires_at !== null && new Date(link.expires_at) <= new Date();
  return isOver ? t("share.expired") : null;
}

const untilOf = (link: Share | UploadLink): string =>
  link.expires_at === null ? t("share.forever") : t("share.until", { time: formatDay(link.expires_at) });

const usedOf = (link: Share | UploadLink): string => ("downloads" in link ? downloadsOf(link) : filesOf(link));

const downloadsOf = ({ downloads, max_downloads }: Share): string =>
  max_downloads === null
    ? t("share.downloads", { n: downloads })
    : t("share.downloadsOf", { n: downloads, most: max_downloads });

const filesOf = ({ files, max_files }: UploadLink): string =>
  max_files === null ? t("share.files", { n: files }) : t("share.filesOf", { n: files, most: max_files });
