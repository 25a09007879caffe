import { signal } from "@preact/signals";
import type { Order } from "./source";

/** How files are shown: kept for the next time. */

const VIEW = "haulier.view";
const ORDER = "haulier.order";

export const view = signal<"grid" | "list">(localStorage.getItem(VIEW) === "grid" ? "grid" : "list");
export const order = signal<Order>(keptOrder());

export function showAs(shown: "grid" | "list"): void {
  view.value = shown;
  localStorage.setItem(VIEW, shown);
}

export function sortBy(by: Order["by"]): void {
  const same = order.value.by === by;
  order.value = { by, descending: same ? !order.value.descending : by !== "name" };
  localStorage.setItem(ORDER, JSON.stringify(order.value));
}

function keptOrder(): Order {
  try {
    const { by, descending } = JSON.parse(localStorage.getItem(ORDER) ?? "") as Order;
    if (["name", "modified", "size", "created"].includes(by)) return { by, descending };
  } catch {
    // Nothing kept, or nothing that is understood.
  }
  return { by: "name", descending: false };
}
