import type { JSX } from "preact";
import { formatDay, formatSize, formatTime } from "../format";
import { t } from "../strings";
import { Icon } from "../ui/icons";
import { Menu } from "../ui/menu";
import { menuOf } from "./item_menu";
import { idOf, nameOf, type Item, type Listing } from "./listing";
import { tagText } from "./tags";
import { Thumbnail } from "./thumbnail";

/** One file or folder in the list and in the grid, and what both have alike. */
export interface EntryProps {
  item: Item;
  index: number;
  listing: Listing;
  selected: boolean;
  active: boolean;
  open: () => void;
  toggle: (event: MouseEvent) => void;
  handlers: JSX.HTMLAttributes<HTMLDivElement>;
}

export const domId = (item: Item): string => `item-${idOf(item)}`;

function Picture({ item, size }: { item: Item; size: number }): JSX.Element {
  if (item.kind === "file") return <Thumbnail file={item.file} size={size} />;
  return (
    <span class="thumbnail folder">
      <Icon name="folder" size={size} />
    </span>
  );
}

function Check({ item, selected, toggle }: EntryProps): JSX.Element {
  return (
    <span class="check" onClick={(event) => event.stopPropagation()}>
      <input
        type="checkbox"
        tabIndex={-1}
        checked={selected}
        aria-label={t("files.select", { name: nameOf(item) })}
        onClick={toggle as (event: MouseEvent) => void}
      />
    </span>
  );
}

function More({ item, listing, open }: EntryProps): JSX.Element {
  const name = nameOf(item);
  return (
    <span class="more" onClick={(event) => event.stopPropagation()} onDblClick={(event) => event.stopPropagation()}>
      <Menu label={t("files.actionsFor", { name })} icon="more" items={() => menuOf(item, listing, open)} outOfOrder />
    </span>
  );
}

function Notice({ item }: { item: Item }): JSX.Element | null {
  if (item.kind === "folder") return null;
  const { scan_state } = item.file;
  if (scan_state === "infected") return <span class="chip bad">{t("files.infected")}</span>;
  if (scan_state === "pending") return <span class="chip">{t("files.scanning")}</span>;
  return null;
}

export function Row(props: EntryProps): JSX.Element {
  const { item, index, selected, active, handlers } = props;
  const look = `row ${selected ? "selected" : ""} ${active ? "active" : ""}`;
  return (
    <div role="row" id={domId(item)} class={look} aria-rowindex={index + 2} aria-selected={selected} data-index={index} {...handlers}>
      <div role="gridcell">
        <Check {...props} />
      </div>
      <div role="gridcell" class="name">
        <Picture item={item} size={22} />
        <span class="text">{nameOf(item)}</span>
        <Notice item={item} />
        {item.kind === "file" && <Tags tags={item.file.tags} />}
      </div>
      <div role="gridcell" class="size">
        {item.kind === "file" ? formatSize(item.file.size) : ""}
      </div>
      <div role="gridcell" class="when">
        {item.kind === "file" && (
          <time dateTime={item.file.modified_at} title={formatTime(item.file.modified_at)}>
            {formatDay(item.file.modified_at)}
          </time>
        )}
      </div>
      <div role="gridcell">
        <More {...props} />
      </div>
    </div>
  );
}

export function Tile(props: EntryProps): JSX.Element {
  const { item, selected, active, index, handlers } = props;
  const look = `tile ${item.kind} ${selected ? "selected" : ""} ${active ? "active" : ""}`;
  return (
    <div role="gridcell" id={domId(item)} class={look} aria-selected={selected} data-index={index} {...handlers}>
      <Picture item={item} size={40} />
      <Check {...props} />
      <span class="caption">
        <span class="text" title={nameOf(item)}>
          {nameOf(item)}
        </span>
        <span class="under">{item.kind === "file" ? formatSize(item.file.size) : t("files.folder")}</span>
      </span>
      <Notice item={item} />
      <More {...props} />
    </div>
  );
}

function Tags({ tags }: { tags: Record<string, string> }): JSX.Element {
  const all = Object.entries(tags);
  return (
    <>
      {all.slice(0, 3).map(([key, value]) => (
        <span key={key} class="chip tag">
          {tagText(key, value)}
        </span>
      ))}
      {all.length > 3 && <span class="chip tag">+{all.length - 3}</span>}
    </>
  );
}
