import { computed, signal } from "@preact/signals";
import { onEvent } from "../api/events";
import { getFile } from "../api/files";
import type { FileMetadata, FolderMetadata, ServerEvent } from "../api/types";
import { ApiError } from "../api/client";
import { inWords } from "../errors";
import type { Order, Source } from "./source";

export type Item = { kind: "folder"; folder: FolderMetadata } | { kind: "file"; file: FileMetadata };

export const idOf = (item: Item): string => (item.kind === "file" ? item.file.id : item.folder.id);
export const nameOf = (item: Item): string => (item.kind === "file" ? item.file.name : item.folder.name);

const TOGETHER_MS = 300;
/** So many changes are asked for one by one; more by listing again. */
const FEW = 20;
const ALL = "all";
const FOLDERS = "folders";

/** What a page shows of a source: loaded as far as one looks, and kept as things stand. */
export class Listing {
  readonly folders = signal<FolderMetadata[]>([]);
  readonly files = signal<FileMetadata[]>([]);
  readonly total = signal<number | null>(null);
  readonly state = signal<"loading" | "ready" | "gone" | "problem">("loading");
  readonly problem = signal("");
  readonly items = computed<Item[]>(() => [
    ...this.folders.value.map((folder): Item => ({ kind: "folder", folder })),
    ...this.files.value.map((file): Item => ({ kind: "file", file })),
  ]);
  /** How many there are, also of those that are not loaded. */
  readonly count = computed(() => {
    const files = this.cursor === null ? this.files.value.length : Math.max(this.total.value ?? 0, this.files.value.length);
    return this.folders.value.length + files;
  });

  private cursor: string | null = null;
  private listed = 0;
  private loading: Promise<void> | null = null;
  private readonly ended = new AbortController();
  private readonly changed = new Map<string, ServerEvent>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly source: Source,
    readonly order: Order,
  ) {
    const deaf = onEvent((event) => this.hear(event));
    this.ended.signal.addEventListener("abort", deaf);
  }

  /** Load the first page. */
  async load(): Promise<void> {
    this.state.value = "loading";
    await this.refresh();
  }

  end(): void {
    this.ended.abort();
    clearTimeout(this.timer);
  }

  /** Load on until there are so many items, or all. */
  async reach(count: number): Promise<void> {
    while (this.cursor !== null && this.items.value.length < count && !this.ended.signal.aborted) {
      this.loading ??= this.more().finally(() => {
        this.loading = null;
      });
      await this.loading;
    }
  }

  /** Show at once what the person did; the server says the same a moment later. */
  put(file: FileMetadata): void {
    const others = this.files.value.filter((one) => one.id !== file.id);
    const known = others.length < this.files.value.length;
    const belongs = this.source.holds(file) ?? known;
    if (belongs && !known && this.total.value !== null) this.total.value += 1;
    if (!belongs && known && this.total.value !== null) this.total.value -= 1;
    this.files.value = belongs ? inserted(others, file, this.order) : others;
  }

  remove(ids: ReadonlySet<string>): void {
    const left = this.files.value.filter((one) => !ids.has(one.id));
    if (this.total.value !== null) this.total.value -= this.files.value.length - left.length;
    this.files.value = left;
    this.folders.value = this.folders.value.filter((one) => !ids.has(one.id));
  }

  /** List again, as far as it was loaded. */
  async refresh(): Promise<void> {
    const { signal: aborted } = this.ended;
    const wanted = Math.max(1, this.files.value.length);
    try {
      const [folders, first] = await Promise.all([
        this.source.folders(aborted),
        this.source.page(this.order, null, aborted),
      ]);
      const files = first.items;
      let cursor = first.next_cursor;
      while (cursor !== null && files.length < wanted) {
        const page = await this.source.page(this.order, cursor, aborted);
        files.push(...page.items);
        cursor = page.next_cursor;
      }
      this.listed += 1;
      this.cursor = cursor;
      this.folders.value = folders;
      this.total.value = first.total;
      this.files.value = files;
      this.state.value = (await this.isGone()) ? "gone" : "ready";
    } catch (error) {
      if (aborted.aborted) return;
      if (isNotThere(error)) this.state.value = "gone";
      this.problem.value = inWords(error);
      if (this.state.value === "loading") this.state.value = "problem";
    }
  }

  private async more(): Promise<void> {
    const { signal: aborted } = this.ended;
    const { listed } = this;
    try {
      const page = await this.source.page(this.order, this.cursor, aborted);
      if (listed !== this.listed) return; // it was all listed again meanwhile
      const known = new Set(this.files.value.map((one) => one.id));
      this.cursor = page.next_cursor;
      this.files.value = [...this.files.value, ...page.items.filter((one) => !known.has(one.id))];
    } catch {
      // Asked again when one scrolls on.
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }

  private hear(event: ServerEvent): void {
    const { type, data } = event;
    if (type === "reset" || type === "permission.changed") this.changed.set(ALL, event);
    else if (type.startsWith("folder.")) this.changed.set(FOLDERS, event);
    else if (/^file\.(created|updated|deleted)$|^scan\.finished$/.test(type)) {
      const id = data.file_id as string;
      const known = this.files.value.some((one) => one.id === id);
      if (!known && !this.source.concerns(data.folder as string | null)) return;
      this.changed.set(id, event);
    } else return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      void this.catchUp();
    }, TOGETHER_MS);
  }

  private async catchUp(): Promise<void> {
    const isAll = this.changed.delete(ALL);
    const areFolders = this.changed.delete(FOLDERS);
    const changed = [...this.changed.values()];
    this.changed.clear();
    const onlyServerKnows = changed.length > 0 && this.source.holds({} as FileMetadata) === null;
    if (isAll || onlyServerKnows || changed.length > FEW || this.state.value === "gone") return this.refresh();
    const gone = changed.filter((event) => event.type === "file.deleted").map((event) => event.data.file_id as string);
    this.remove(new Set(gone));
    for (const event of changed) {
      if (event.type === "file.deleted") continue;
      const file = await this.ask(event.data.file_id as string);
      if (file !== null) this.put(file);
    }
    if (areFolders) await this.readFolders();
  }

  private async readFolders(): Promise<void> {
    try {
      this.folders.value = await this.source.folders(this.ended.signal);
      if (await this.isGone()) this.state.value = "gone";
    } catch (error) {
      // Otherwise they stay as they were known.
      if (isNotThere(error)) this.state.value = "gone";
    }
  }

  /** Whether nothing is shown because the folder itself is not there any more. */
  private async isGone(): Promise<boolean> {
    return this.count.value === 0 && !(await this.source.isThere(this.ended.signal));
  }

  private async ask(id: string): Promise<FileMetadata | null> {
    try {
      return await getFile(id);
    } catch (error) {
      if (isNotThere(error)) this.remove(new Set([id]));
      return null;
    }
  }
}

const isNotThere = (error: unknown): boolean => error instanceof ApiError && error.status === 404;

function inserted(files: FileMetadata[], file: FileMetadata, order: Order): FileMetadata[] {
  const key = keyOf(file, order);
  let [low, high] = [0, files.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = keyOf(files[middle] as FileMetadata, order);
    if (other < key !== order.descending) low = middle + 1;
    else high = middle;
  }
  return [...files.slice(0, low), file, ...files.slice(low)];
}

function keyOf(file: FileMetadata, { by }: Order): string | number {
  if (by === "size") return file.size;
  if (by === "modified") return file.modified_at;
  if (by === "created") return file.created_at;
  // As the server folds names before it sorts them.
  return file.name.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}
