import { signal } from "@preact/signals";
import { idOf, type Item, type Listing } from "./listing";

/** What is selected of a listing, and which item the keyboard is at. */
export class Selection {
  readonly ids = signal<ReadonlySet<string>>(new Set());
  readonly at = signal(0);
  private anchor = 0;
  private waiting = 0;

  constructor(private readonly listing: Listing) {}

  items(): Item[] {
    return this.listing.items.value.filter((one) => this.ids.value.has(idOf(one)));
  }

  clear(): void {
    this.ids.value = new Set();
  }

  toggle(index: number): void {
    const item = this.listing.items.value[index];
    if (item === undefined) return;
    const ids = new Set(this.ids.value);
    if (!ids.delete(idOf(item))) ids.add(idOf(item));
    this.ids.value = ids;
    this.at.value = this.anchor = index;
  }

  /** Select from where the last one was chosen to here. */
  extend(index: number): void {
    const [first, last] = [Math.min(this.anchor, index), Math.max(this.anchor, index)];
    this.ids.value = new Set(this.listing.items.value.slice(first, last + 1).map(idOf));
    this.at.value = index;
  }

  /** Whether what was gone to, or is to be selected, is still being loaded. */
  get isLoading(): boolean {
    return this.waiting > 0;
  }

  /** Move once what is there has been loaded. */
  async go(index: number, extending: boolean): Promise<void> {
    await this.loaded(index + 1);
    this.move(index, extending);
  }

  private move(index: number, extending: boolean): void {
    const to = Math.max(0, Math.min(index, this.listing.items.value.length - 1));
    if (extending) {
      this.extend(to);
      return;
    }
    this.at.value = this.anchor = to;
  }

  /** Everything, also what is not loaded yet. */
  async all(): Promise<void> {
    await this.loaded(Number.POSITIVE_INFINITY);
    this.ids.value = new Set(this.listing.items.value.map(idOf));
  }

  private async loaded(count: number): Promise<void> {
    this.waiting += 1;
    await this.listing.reach(count);
    this.waiting -= 1;
  }

  /** Forget what is not there any more. */
  prune(): void {
    const there = new Set(this.listing.items.value.map(idOf));
    const left = [...this.ids.value].filter((id) => there.has(id));
    if (left.length < this.ids.value.size) this.ids.value = new Set(left);
  }
}
