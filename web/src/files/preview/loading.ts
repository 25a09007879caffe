import { useEffect, useState } from "preact/hooks";
import { inWords } from "../../errors";

export interface Loading<T> {
  found: T | null;
  problem: string | null;
}

/** What `load` gives, or in words why not; what is not wanted any more is given up. */
export function useLoading<T>(load: (signal: AbortSignal) => Promise<T>, wanted: unknown[]): Loading<T> {
  const [state, setState] = useState<Loading<T>>({ found: null, problem: null });
  useEffect(() => {
    const giveUp = new AbortController();
    load(giveUp.signal).then(
      (found) => !giveUp.signal.aborted && setState({ found, problem: null }),
      (error: unknown) => !giveUp.signal.aborted && setState({ found: null, problem: inWords(error) }),
    );
    return () => giveUp.abort();
  }, wanted);
  return state;
}

/** An object URL for a blob, while it is shown. */
export function useObjectUrl(blob: Blob | null): string | null {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (blob === null) return;
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return url;
}
