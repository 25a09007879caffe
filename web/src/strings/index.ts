import { en } from "./en";

/** A text by number: `one` and `other`, as Intl.PluralRules tells them apart. */
interface Plural {
  one: string;
  other: string;
}

type Keys<T, Before extends string = ""> = {
  [K in keyof T & string]: T[K] extends string | Plural ? `${Before}${K}` : Keys<T[K], `${Before}${K}.`>;
}[keyof T & string];

export type Text = Keys<typeof en>;

const plural = new Intl.PluralRules("en");
const numbers = new Intl.NumberFormat(navigator.language);

/** The words for a key of `en.ts`; `{name}` in them is replaced, `n` chooses the number. */
export function t(key: Text, values: Record<string, string | number> = {}): string {
  const found = key.split(".").reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], en);
  const text = typeof found === "string" ? found : byNumber(found as Plural, Number(values.n));
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    return typeof value === "number" ? numbers.format(value) : (value ?? "");
  });
}

function byNumber(texts: Plural, n: number): string {
  return plural.select(n) === "one" ? texts.one : texts.other;
}
