import type { JSX } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { href, navigate, route } from "../router";
import { t } from "../strings";
import { Button } from "../ui/button";
import { Empty, PageHead } from "../ui/page";
import { Browser, useListing } from "./browser";
import { search } from "./source";
import { ViewTools } from "./toolbar";

const KINDS = ["image", "video", "audio", "document", "archive", "text"] as const;
const MIB = 1 << 20;
const SIZES = { small: [0, MIB], middle: [MIB, 100 * MIB], large: [100 * MIB, 1024 * MIB], huge: [1024 * MIB, null] } as const;
const FILTERS = ["kind", "size", "from", "to", "tag", "folder"] as const;

/** What was found by words and filters; all of these are in the address. */
export default function SearchPage(): JSX.Element {
  const asked = route.value.query;
  const source = useMemo(() => search(queryOf(asked)), [asked.toString()]);
  const listing = useListing(source);
  const filtered = FILTERS.some((name) => asked.get(name));
  const set = (name: string, value: string): void => {
    const query = Object.fromEntries([...asked].filter(([key, old]) => key !== name && old !== ""));
    navigate(href("search", [], value === "" ? query : { ...query, [name]: value }), true);
  };
  const clear = (): void => navigate(href("search", [], { q: asked.get("q") ?? "" }), true);
  return (
    <>
      <PageHead title={t("search.title")}>
        <ViewTools sorts />
      </PageHead>
      <form class="filters" aria-label={t("search.filters")} onSubmit={(event) => event.preventDefault()}>
        <label>
          <span>{t("search.kind")}</span>
          <select value={asked.get("kind") ?? ""} onChange={(event) => set("kind", event.currentTarget.value)}>
            <option value="">{t("search.any")}</option>
            {KINDS.map((kind) => (
              <option key={kind} value={kind}>
                {t(`search.kinds.${kind}`)}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span>{t("search.size")}</span>
          <select value={asked.get("size") ?? ""} onChange={(event) => set("size", event.currentTarget.value)}>
            <option value="">{t("search.any")}</option>
            {Object.keys(SIZES).map((size) => (
              <option key={size} value={size}>
                {t(`search.sizes.${size as keyof typeof SIZES}`)}
              </option>
            ))}
          </select>
        </label>
        <Filter label={t("search.from")} type="date" value={asked.get("from") ?? ""} set={(value) => set("from", value)} />
        <Filter label={t("search.to")} type="date" value={asked.get("to") ?? ""} set={(value) => set("to", value)} />
        <Filter
          label={t("search.tag")}
          placeholder={t("search.tagExample")}
          value={asked.get("tag") ?? ""}
          set={(value) => set("tag", value)}
        />
        <Filter label={t("search.folder")} value={asked.get("folder") ?? ""} set={(value) => set("folder", value)} />
        {filtered && <Button label={t("search.clear")} look="quiet" onClick={clear} />}
      </form>
      {listing.state.value === "ready" && listing.count.value > 0 && (
        <p class="hint found" role="status">
          {t("search.found", { n: listing.count.value })}
        </p>
      )}
      <Browser listing={listing} empty={<Empty icon="search" title={t("search.none")} text={t("search.noneHint")} />} />
    </>
  );
}

interface FilterProps {
  label: string;
  value: string;
  set: (value: string) => void;
  type?: "text" | "date";
  placeholder?: string;
}

/** A field that keeps what is being typed while the page changes around it. */
function Filter({ label, value, set, type = "text", placeholder }: FilterProps): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    if (input.current !== null) input.current.value = value;
  }, [value]);
  return (
    <label>
      <span>{label}</span>
      <input
        ref={input}
        type={type}
        {...(placeholder !== undefined && { placeholder })}
        onChange={(event) => set(event.currentTarget.value.trim())}
      />
    </label>
  );
}

/** The filters of the address as the server knows them. */
function queryOf(asked: URLSearchParams): Record<string, string> {
  const query: Record<string, string> = {};
  for (const name of ["q", "kind", "tag", "folder"]) {
    const value = asked.get(name);
    if (value) query[name] = value;
  }
  const size = asked.get("size") ?? "";
  const [least, most] = Object.hasOwn(SIZES, size) ? SIZES[size as keyof typeof SIZES] : [null, null];
  if (least) query.min_size = String(least);
  if (most) query.max_size = String(most);
  const [from, to] = [asked.get("from"), asked.get("to")];
  if (from) query.created_after = new Date(`${from}T00:00`).toISOString();
  if (to) query.created_before = new Date(new Date(`${to}T00:00`).getTime() + 24 * 3600_000).toISOString();
  return query;
}
