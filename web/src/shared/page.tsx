import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { getFolder } from "../api/files";
import { Browser, useListing } from "../files/browser";
import { grantedFolder, grantedToMe } from "../files/source";
import { NewThings, ViewTools } from "../files/toolbar";
import { href, route } from "../router";
import { t } from "../strings";
import { Empty, PageHead } from "../ui/page";

/** What others granted: folders and files, and what lies in these folders. */
export default function SharedPage(): JSX.Element {
  const [id] = route.value.rest;
  const [name, setName] = useState<string | null>(null);
  const source = useMemo(() => (id === undefined ? grantedToMe() : grantedFolder(id)), [id]);
  const listing = useListing(source);
  useEffect(() => {
    setName(null);
    if (id !== undefined) getFolder(id).then((folder) => setName(folder.name), () => undefined);
  }, [id]);
  return (
    <>
      <PageHead title={name ?? t("shared.title")}>
        <ViewTools sorts={false} />
        {source.target && <NewThings listing={listing} target={source.target} />}
      </PageHead>
      {id !== undefined && (
        <nav class="crumbs" aria-label={t("files.path")}>
          <ol>
            <li>
              <a href={href("shared")}>{t("shared.title")}</a>
            </li>
          </ol>
        </nav>
      )}
      <Browser listing={listing} empty={<Empty icon="people" title={t("shared.empty")} text={t("shared.emptyHint")} />} />
    </>
  );
}
