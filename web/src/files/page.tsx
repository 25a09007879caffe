import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { account } from "../api/session";
import { href, route } from "../router";
import { t } from "../strings";
import { Icon } from "../ui/icons";
import { Empty, PageHead } from "../ui/page";
import { Browser, useListing } from "./browser";
import { ownFolder } from "./source";
import { NewThings, ViewTools } from "./toolbar";

/** One's own files, folder by folder. */
export function FilesPage(): JSX.Element {
  const path = route.value.rest.join("/");
  const source = useMemo(() => ownFolder(path), [path, account.value?.id, account.value?.role]);
  const listing = useListing(source);
  useEffect(() => scrollTo(0, 0), [path]);
  const may = source.target !== null;
  return (
    <>
      <PageHead title={route.value.rest.at(-1) ?? t("files.title")}>
        <ViewTools sorts />
        {source.target && <NewThings listing={listing} target={source.target} />}
      </PageHead>
      {path !== "" && <Breadcrumbs parts={route.value.rest} />}
      <Browser
        listing={listing}
        empty={<Empty icon="upload" title={t("files.empty")} text={may ? t("files.emptyHint") : t("files.emptyViewer")} />}
      />
    </>
  );
}

function Breadcrumbs({ parts }: { parts: string[] }): JSX.Element {
  return (
    <nav class="crumbs" aria-label={t("files.path")}>
      <ol>
        <li>
          <a href={href("files")}>{t("files.title")}</a>
        </li>
        {parts.map((part, n) => (
          <li key={n}>
            <Icon name="forward" size={14} />
            {n === parts.length - 1 ? (
              <span aria-current="page">{part}</span>
            ) : (
              <a href={href("files", parts.slice(0, n + 1))}>{part}</a>
            )}
          </li>
        ))}
      </ol>
    </nav>
  );
}
