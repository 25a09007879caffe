import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { t } from "../strings";
import { Button } from "../ui/button";
import { UploadLine } from "./line";
import { clearDone, open, uploads } from "./queue";
import type { Upload } from "./upload";

const MOST_SHOWN = 60;
/** What needs somebody comes first, then what goes on. */
const SEQUENCE = ["conflict", "lost", "failed", "signedOut", "sending", "offline", "paused", "waiting", "done"];
const NEED_SOMEBODY = new Set(["conflict", "lost", "failed"]);
const GOING = new Set(["sending", "waiting", "offline"]);

/** How all uploads stand, at the edge of every page. */
export function UploadPanel(): JSX.Element | null {
  const [folded, setFolded] = useState(false);
  const all = uploads.value;
  if (all.length === 0) return null;
  const left = open.value;
  const [sent, size] = [sum(all, (one) => one.sent.value), sum(all, (one) => one.kept.size)];
  const place = (one: Upload): number => SEQUENCE.indexOf(one.status.value);
  const shown = [...all].sort((a, b) => place(a) - place(b));
  const going = left.filter((one) => GOING.has(one.status.value));
  const still = left.filter((one) => one.status.value === "paused");
  return (
    <section class={folded ? "uploads folded" : "uploads"} aria-label={t("uploads.title")}>
      <header>
        <strong role="status" aria-live="polite">
          {summary(all, left)}
        </strong>
        {going.length > 1 && (
          <Button label={t("uploads.pauseAll")} icon="pause" look="quiet" bare onClick={() => going.forEach((one) => one.pause())} />
        )}
        {going.length === 0 && still.length > 1 && (
          <Button label={t("uploads.resumeAll")} icon="play" look="quiet" bare onClick={() => still.forEach((one) => one.resume())} />
        )}
        <Button
          label={folded ? t("uploads.unfold") : t("uploads.fold")}
          icon="down"
          look="quiet"
          bare
          aria-expanded={!folded}
          onClick={() => setFolded(!folded)}
        />
        {left.length === 0 && <Button label={t("app.close")} icon="close" look="quiet" bare onClick={clearDone} />}
      </header>
      {left.length > 0 && size > 0 && <progress max={size} value={sent} aria-label={t("uploads.title")} />}
      {!folded && (
        <ul tabIndex={0} aria-label={t("uploads.title")}>
          {shown.slice(0, MOST_SHOWN).map((one) => (
            <UploadLine key={one.kept.id} upload={one} />
          ))}
          {shown.length > MOST_SHOWN && <li class="hint">{t("uploads.more", { n: shown.length - MOST_SHOWN })}</li>}
        </ul>
      )}
    </section>
  );
}

function summary(all: Upload[], left: Upload[]): string {
  if (left.length === 0) return t("uploads.allDone", { n: all.length });
  const needing = left.filter((one) => NEED_SOMEBODY.has(one.status.value)).length;
  return needing > 0 ? t("uploads.needYou", { n: needing }) : t("uploads.going", { n: left.length });
}

const sum = (all: Upload[], of: (one: Upload) => number): number => all.reduce((total, one) => total + of(one), 0);
