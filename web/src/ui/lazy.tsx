import type { ComponentType, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../strings";
import { Problem, Skeleton } from "./page";

type Load<P> = () => Promise<{ default: ComponentType<P> }>;

/** A component whose code is fetched when it is shown first. */
export function lazy<P extends object>(load: Load<P>): ComponentType<P> {
  let loaded: ComponentType<P> | null = null;
  return function Lazy(props: P): JSX.Element {
    const [, setAttempts] = useState(0);
    const [failed, setFailed] = useState(false);
    const fetchIt = (): void => {
      setFailed(false);
      load().then(
        (module) => {
          loaded = module.default;
          setAttempts((n) => n + 1);
        },
        () => setFailed(true),
      );
    };
    useEffect(() => {
      if (loaded === null) fetchIt();
    }, []);
    if (loaded !== null) {
      const Loaded = loaded;
      return <Loaded {...props} />;
    }
    if (failed) return <Problem text={`${t("app.update")} ${t("app.unreachable")}`} retry={() => location.reload()} />;
    return <Skeleton />;
  };
}
