import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { inWords } from "../errors";
import { Problem, Skeleton } from "../ui/page";

interface Props<T> {
  load: () => Promise<T>;
  children: (found: T, reload: () => void) => JSX.Element;
}

/** What `load` finds, shown by `children`; until then grey lines, or what went wrong. */
export function Loaded<T>({ load, children }: Props<T>): JSX.Element {
  const [found, setFound] = useState<T | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const reload = (): void => {
    load().then(
      (now) => {
        setFound(now);
        setProblem(null);
      },
      (error: unknown) => setProblem(inWords(error)),
    );
  };
  useEffect(reload, []);
  if (problem !== null) return <Problem text={problem} retry={reload} />;
  return found === null ? <Skeleton /> : children(found, reload);
}
