import type { JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { listAudit, type AuditEntry } from "../api/admin";
import { inWords } from "../errors";
import { formatTime } from "../format";
import { t } from "../strings";
import { Button } from "../ui/button";
import { Empty, Problem, Skeleton } from "../ui/page";

const PAGE = 50;

type Filter = Record<string, string>;

/** What was done on the server, newest first. */
export function AuditLog(): JSX.Element {
  const [entries, setEntries] = useState<AuditEntry[] | null>(null);
  const [more, setMore] = useState<string | null>(null);
  const [filter, setFilter] = useState<Filter>({});
  const [problem, setProblem] = useState<string | null>(null);
  const asked = useRef(0);
  const load = async (cursor: string | null): Promise<void> => {
    const number = ++asked.current;
    try {
      const page = await listAudit({ ...filter, limit: PAGE, ...(cursor !== null && { cursor }) });
      if (number !== asked.current) return;
      setEntries((before) => (cursor === null ? page.items : [...(before ?? []), ...page.items]));
      setMore(page.next_cursor);
      setProblem(null);
    } catch (error) {
      if (number === asked.current) setProblem(inWords(error));
    }
  };
  useEffect(() => void load(null), [filter]);
  return (
    <>
      <Filters apply={setFilter} />
      {problem !== null ? (
        <Problem text={problem} retry={() => void load(null)} />
      ) : entries === null ? (
        <Skeleton />
      ) : entries.length === 0 ? (
        <Empty icon="history" title={t("admin.nothingDone")} />
      ) : (
        <Entries entries={entries} />
      )}
      {more !== null && (
        <div class="after-table">
          <Button label={t("trash.more")} onClick={() => void load(more)} />
        </div>
      )}
    </>
  );
}

function Filters({ apply }: { apply: (filter: Filter) => void }): JSX.Element {
  const ids = [useId(), useId(), useId(), useId()] as const;
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const given = Object.entries(Object.fromEntries(new FormData(event.currentTarget as HTMLFormElement)));
    const texts = given.map(([key, value]) => [key, String(value).trim()] as const).filter(([, value]) => value !== "");
    apply(Object.fromEntries(texts.map(([key, value]) => [key, key === "since" ? new Date(`${value}T00:00`).toISOString() : value])));
  };
  return (
    <form class="filters" onSubmit={submit}>
      <label class="field" for={ids[0]}>
        <span>{t("admin.who")}</span>
        <input id={ids[0]} type="text" name="actor" maxLength={100} autocomplete="off" autocapitalize="none" />
      </label>
      <label class="field" for={ids[1]}>
        <span>{t("admin.what")}</span>
        <input id={ids[1]} type="text" name="action" maxLength={200} autocomplete="off" autocapitalize="none" />
      </label>
      <label class="field" for={ids[2]}>
        <span>{t("admin.object")}</span>
        <input id={ids[2]} type="text" name="object" maxLength={100} autocomplete="off" autocapitalize="none" />
      </label>
      <label class="field" for={ids[3]}>
        <span>{t("admin.from")}</span>
        <input id={ids[3]} type="date" name="since" />
      </label>
      <Button label={t("admin.filter")} icon="filter" type="submit" />
    </form>
  );
}

function Entries({ entries }: { entries: AuditEntry[] }): JSX.Element {
  const names = { at: t("admin.when"), actor: t("admin.who"), action: t("admin.what"), status: t("admin.status"), from: t("admin.where") };
  return (
    <div class="table" tabIndex={0} role="region" aria-label={t("admin.audit")}>
      <table>
        <thead>
          <tr>
            {Object.values(names).map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {entries.map((one) => (
            <tr key={`${one.instance}/${one.number}`}>
              <td data-name={names.at}>{formatTime(one.at)}</td>
              <td data-name={names.actor}>{one.actor ?? t("admin.nobody")}</td>
              <td data-name={names.action}>
                <code>{one.action}</code>
              </td>
              <td data-name={names.status}>{one.status ?? ""}</td>
              <td data-name={names.from}>{one.address ?? ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
