import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const KEY = "haulier.theme";

export const theme = signal<Theme>(kept());

/** Show light or dark; `system` follows what the person set for all programs. */
export function chooseTheme(chosen: Theme): void {
  theme.value = chosen;
  localStorage.setItem(KEY, chosen);
  applyTheme();
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = theme.value;
}

function kept(): Theme {
  const found = localStorage.getItem(KEY);
  return found === "light" || found === "dark" ? found : "system";
}
