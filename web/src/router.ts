import { signal } from "@preact/signals";

/** Where one is: `#/files/holiday/2026?open=ID` is page "files", rest ["holiday", "2026"]. */
export interface Route {
  page: string;
  rest: string[];
  query: URLSearchParams;
}

export const route = signal<Route>(read());

addEventListener("hashchange", () => {
  route.value = read();
});

/** The address of a page, for `href` and `navigate`. */
export function href(page: string, rest: string[] = [], query: Record<string, string> = {}): string {
  const path = [page, ...rest].map(encodeURIComponent).join("/");
  const asked = new URLSearchParams(query).toString();
  return `#/${path}${asked && `?${asked}`}`;
}

/** Go there; `replace` leaves no trace in the history. */
export function navigate(to: string, replace = false): void {
  if (!replace) {
    location.hash = to;
    return;
  }
  history.replaceState(history.state, "", to);
  route.value = read();
}

function read(): Route {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [page = "", ...rest] = path.split("/").filter(Boolean).map(decoded);
  return { page: page || "files", rest, query: new URLSearchParams(query) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
