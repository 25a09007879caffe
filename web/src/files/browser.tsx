import type { ComponentChildren, JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Empty, Problem, Skeleton } from "../ui/page";
import { t } from "../strings";
import { href, navigate } from "../router";
import { openPreview } from "../ui/opening";
import { toastProblem } from "../ui/toast";
import { discard, rename } from "./actions";
import { BulkBar } from "./bulk_bar";
import { domId, Row, Tile, type EntryProps } from "./entries";
import { idOf, Listing, type Item } from "./listing";
import { Selection } from "./selection";
import type { Source } from "./source";
import { touchAware } from "./touch";
import { target } from "../uploads/queue";
import { order, view } from "./view";
import { VirtualRows } from "./virtual";

const ROW_PX = 52;
const TILE_PX = 212;
const TILE_LEAST_PX = 168;
const NARROW_TILE_PX = 150;

/** A listing that is kept as long as its source and order are the same. */
export function useListing(source: Source): Listing {
  const listing = useMemo(() => new Listing(source, order.value), [source.key, order.value]);
  useEffect(() => {
    void listing.load();
    return () => listing.end();
  }, [listing]);
  useEffect(() => {
    target.value = source.target;
    return () => {
      target.value = null;
    };
  }, [source]);
  return listing;
}

interface Props {
  listing: Listing;
  empty: ComponentChildren;
}

/** Files and folders as a grid or a list, by mouse, touch and keyboard. */
export function Browser({ listing, empty }: Props): JSX.Element {
  const selection = useMemo(() => new Selection(listing), [listing]);
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(innerWidth);
  const items = listing.items.value;
  useEffect(() => selection.prune(), [items]);
  useEffect(() => {
    const watching = new ResizeObserver(([entry]) => entry && setWidth(entry.contentRect.width));
    if (box.current) watching.observe(box.current);
    return () => watching.disconnect();
  }, [listing.state.value, items.length === 0]);
  if (listing.state.value === "problem") return <Problem text={listing.problem.value} retry={() => void listing.load()} />;
  if (listing.state.value === "loading") return <Skeleton lines={8} />;
  if (listing.state.value === "gone") return <Gone />;
  if (items.length === 0) return <>{empty}</>;

  const asGrid = view.value === "grid";
  const columns = asGrid ? Math.max(2, Math.floor(width / (width < 600 ? NARROW_TILE_PX : TILE_LEAST_PX))) : 1;
  const open = (item: Item): void => {
    if (item.kind === "folder") return navigate(listing.source.hrefOf(item.folder));
    const files = listing.files.value;
    openPreview(files, files.indexOf(item.file));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.target !== event.currentTarget) return;
    if (keyed(event, { listing, selection, columns, open })) event.preventDefault();
  };
  const entry = (index: number): EntryProps | null => {
    const item = items[index];
    if (item === undefined) return null;
    const pointing = touchAware({
      open: () => open(item),
      select: (event) => {
        selection.at.value = index;
        if (event.shiftKey) selection.extend(index);
        else selection.toggle(index);
      },
      selecting: () => selection.ids.value.size > 0,
    });
    return {
      item,
      index,
      listing,
      selected: selection.ids.value.has(idOf(item)),
      active: selection.at.value === index,
      open: () => open(item),
      toggle: (event) => (event.shiftKey ? selection.extend(index) : selection.toggle(index)),
      handlers: pointing,
    };
  };
  const active = items[selection.at.value];
  return (
    <>
      <BulkBar selection={selection} listing={listing} />
      <div
        ref={box}
        class={asGrid ? "entries grid" : "entries list"}
        role="grid"
        tabIndex={0}
        aria-label={t("files.title")}
        aria-multiselectable="true"
        aria-rowcount={Math.ceil(listing.count.value / columns) + (asGrid ? 0 : 1)}
        aria-activedescendant={active && domId(active)}
        onKeyDown={onKeyDown}
      >
        {!asGrid && <ListHead />}
        <VirtualRows
          rows={Math.ceil(listing.count.value / columns)}
          rowHeight={asGrid ? TILE_PX : ROW_PX}
          at={Math.floor(selection.at.value / columns)}
          onReach={(row) => void listing.reach(row * columns + 200)}
          render={(first, last) =>
            asGrid ? gridRows(first, last, columns, entry) : listRows(first, last, entry)
          }
        />
      </div>
    </>
  );
}

function Gone(): JSX.Element {
  return (
    <Empty icon="folder" title={t("files.gone")} text={t("files.goneHint")}>
      <a href={href("files")}>{t("app.toFiles")}</a>
    </Empty>
  );
}

function ListHead(): JSX.Element {
  return (
    <div role="row" class="list-head" aria-rowindex={1}>
      <div role="columnheader">
        <span class="sr-only">{t("files.selection")}</span>
      </div>
      <div role="columnheader">{t("files.name")}</div>
      <div role="columnheader" class="size">
        {t("files.size")}
      </div>
      <div role="columnheader" class="when">
        {t("files.modified")}
      </div>
      <div role="columnheader">
        <span class="sr-only">{t("app.more")}</span>
      </div>
    </div>
  );
}

function listRows(first: number, last: number, entry: (index: number) => EntryProps | null): ComponentChildren {
  return range(first, last).map((index) => {
    const props = entry(index);
    return props === null ? <Placeholder key={index} columns={1} /> : <Row key={idOf(props.item)} {...props} />;
  });
}

function gridRows(first: number, last: number, columns: number, entry: (index: number) => EntryProps | null): ComponentChildren {
  return range(first, last).map((row) => {
    const shown = range(row * columns, (row + 1) * columns).map(entry);
    if (shown[0] === null) return <Placeholder key={row} columns={columns} />;
    return (
      <div role="row" key={row} class="tiles" aria-rowindex={row + 1} style={{ gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` }}>
        {shown.map((props) => props && <Tile key={idOf(props.item)} {...props} />)}
      </div>
    );
  });
}

function Placeholder({ columns }: { columns: number }): JSX.Element {
  return (
    <div role="row" class={columns === 1 ? "row" : "tiles"}>
      <div role="gridcell" class="to-come">
        <span class="sr-only">{t("app.loading")}</span>
      </div>
    </div>
  );
}

const range = (first: number, last: number): number[] => Array.from({ length: Math.max(0, last - first) }, (_, n) => first + n);

interface Keyed {
  listing: Listing;
  selection: Selection;
  columns: number;
  open: (item: Item) => void;
}

/** Do what a key means; false where it means nothing here. */
function keyed(event: KeyboardEvent, { listing, selection, columns, open }: Keyed): boolean {
  const at = selection.at.value;
  const item = listing.items.value[at];
  const page = columns * 8;
  const steps: Record<string, number> = {
    ArrowDown: at + columns,
    ArrowUp: at - columns,
    ArrowRight: at + 1,
    ArrowLeft: at - 1,
    PageDown: at + page,
    PageUp: at - page,
    Home: 0,
    End: listing.count.value - 1,
  };
  const to = steps[event.key];
  if (to !== undefined) {
    void selection.go(to, event.shiftKey);
    return true;
  }
  if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) {
    void selection.all();
    return true;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || item === undefined) return false;
  const chosen = selection.items();
  const doing: Record<string, () => void> = {
    " ": () => selection.toggle(at),
    Enter: () => open(item),
    F2: () => rename(item, listing),
    Delete: () => void discard(chosen.length > 0 ? chosen : [item], listing).catch(toastProblem),
    Escape: () => selection.clear(),
    ContextMenu: () => document.querySelector<HTMLElement>(`#${domId(item)} .more button`)?.click(),
    F10: () => document.querySelector<HTMLElement>(`#${domId(item)} .more button`)?.click(),
  };
  const run = doing[event.key];
  // What it would be done with is not known before.
  if (!selection.isLoading) run?.();
  return run !== undefined;
}

