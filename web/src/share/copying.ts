/** Copy a text; false where the browser does not let us, as on a page that came by plain http. */
export async function copied(text: string, shown: HTMLInputElement | null): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    shown?.focus();
    shown?.select();
    return document.execCommand("copy");
  }
}
