import type { JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { formatDuration, formatSize } from "../format";
import { t } from "../strings";
import { Button } from "../ui/button";
import { Icon, type IconName } from "../ui/icons";
import { BYTES_PER_S, LITTLE_BYTES, measureRoom, room } from "./keeping";
import { Meter } from "./meter";
import { begin, current, elapsed_s, end, name, pause, phase, resume, stream, trouble, unsaved } from "./recorder";
import { save } from "./saving";

const SHOWN_EVERY_MS = 200;
const MEASURED_EVERY_MS = 10_000;

/** The recorder itself: level, time and the buttons for where it stands. */
export function Recorder(): JSX.Element {
  const under = phase.value === "recording" || phase.value === "paused";
  return (
    <section class={`card recorder ${phase.value}`} aria-label={t("record.recorder")}>
      <Meter stream={stream.value} live={phase.value === "recording"} />
      <Time />
      <p class="phase" role="status">
        {t(`record.phase.${phase.value}`)}
      </p>
      {under && <Name />}
      <div class="buttons">
        {under && <Button {...pausing()} />}
        {/* One button, so that it keeps the focus. */}
        <button
          type="button"
          class={`button ${under ? "main" : "record-button"}`}
          aria-disabled={!under && phase.value !== "idle"}
          onClick={() => (under ? end() : void begin())}
        >
          {under ? <Icon name="stop" /> : <span class="dot" aria-hidden="true" />}
          <span>{t(under ? "record.end" : "record.begin")}</span>
        </button>
      </div>
      {trouble.value !== null && (
        <p class="problem trouble" role="alert">
          <Icon name="error" />
          <span>{t(`record.trouble.${trouble.value}`)}</span>
        </p>
      )}
      {unsaved.value !== null && (
        <Button label={t("record.saveUnsaved")} icon="download" onClick={() => save(unsaved.value as Blob, t("record.title"))} />
      )}
      <Room />
    </section>
  );
}

function pausing(): { label: string; icon: IconName; onClick: () => void } {
  const paused = phase.value === "paused";
  return paused
    ? { label: t("record.resume"), icon: "microphone", onClick: resume }
    : { label: t("record.pause"), icon: "pause", onClick: pause };
}

function Time(): JSX.Element {
  const [, tick] = useState(0);
  const runs = phase.value === "recording";
  useEffect(() => {
    if (!runs) return;
    const timer = setInterval(() => tick((n) => n + 1), SHOWN_EVERY_MS);
    return () => clearInterval(timer);
  }, [runs]);
  const shown = phase.value === "idle" || phase.value === "asking" ? 0 : Math.floor(elapsed_s());
  return (
    <p class="time" role="timer" aria-label={t("record.time")}>
      {formatDuration(shown)}
    </p>
  );
}

function Name(): JSX.Element {
  const id = useId();
  return (
    <label class="field" for={id}>
      <span>{t("record.name")}</span>
      <input
        id={id}
        type="text"
        maxLength={80}
        autocomplete="off"
        defaultValue={current.value?.name ?? ""}
        onInput={(event) => void name(event.currentTarget.value)}
      />
    </label>
  );
}

/** How much more fits on this device. */
function Room(): JSX.Element | null {
  useEffect(() => {
    const timer = setInterval(() => void measureRoom(), MEASURED_EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  if (room.value === null) return null;
  const { free, promised } = room.value;
  const time = formatDuration(free / BYTES_PER_S);
  if (free < LITTLE_BYTES) {
    return (
      <p class="problem trouble" role="alert">
        <Icon name="error" />
        <span>{t("record.littleRoom", { time })}</span>
      </p>
    );
  }
  return (
    <p class="hint">
      {t("record.room", { size: formatSize(free) })} {t(promised ? "record.promised" : "record.notPromised")}
    </p>
  );
}
