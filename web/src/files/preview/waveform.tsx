import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Levels } from "../../api/pictures";
import { formatDuration } from "../../format";
import { t } from "../../strings";

interface Props {
  levels: Levels | null;
  at: number;
  duration: number;
  seek: (to: number) => void;
}

const BARS = 160;
const STEP_S = 5;

/** The loudness of a sound over time, and a slider on top of it. */
export function Waveform({ levels, at, duration, seek }: Props): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const played = duration > 0 ? at / duration : 0;
  useEffect(() => {
    if (canvas.current) draw(canvas.current, levels, played);
  }, [levels, played]);
  const onKeyDown = (event: KeyboardEvent): void => {
    const steps: Record<string, number> = { ArrowLeft: -STEP_S, ArrowRight: STEP_S };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    seek(Math.min(duration, Math.max(0, at + step)));
  };
  return (
    <div class="waveform">
      <canvas ref={canvas} aria-hidden="true" />
      <input
        type="range"
        min={0}
        max={duration || 1}
        step="any"
        value={at}
        aria-label={t("preview.position")}
        aria-valuetext={t("preview.positionOf", { at: formatDuration(at), length: formatDuration(duration) })}
        onInput={(event) => seek(Number(event.currentTarget.value))}
        onKeyDown={onKeyDown}
      />
    </div>
  );
}

function draw(canvas: HTMLCanvasElement, levels: Levels | null, played: number): void {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const context = canvas.getContext("2d");
  if (context === null || width === 0) return;
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  context.scale(devicePixelRatio, devicePixelRatio);
  const style = getComputedStyle(canvas);
  const bars = Math.min(BARS, Math.floor(width / 4));
  const loudest = Math.max(0.05, ...(levels?.highs ?? []), ...(levels?.lows ?? []).map(Math.abs));
  for (let bar = 0; bar < bars; bar += 1) {
    const level = levels === null ? 0 : loudnessOf(levels, bar / bars, (bar + 1) / bars) / loudest;
    const tall = Math.max(3, level * height);
    context.fillStyle = (bar + 0.5) / bars <= played ? style.color : style.borderTopColor;
    context.beginPath();
    context.roundRect((bar * width) / bars, (height - tall) / 2, Math.max(2, width / bars - 2), tall, 2);
    context.fill();
  }
}

/** The largest level between two parts of the whole. */
function loudnessOf({ lows, highs }: Levels, from: number, to: number): number {
  const [first, last] = [Math.floor(from * highs.length), Math.max(Math.ceil(to * highs.length), 1)];
  let largest = 0;
  for (let n = first; n < last; n += 1) largest = Math.max(largest, highs[n] ?? 0, -(lows[n] ?? 0));
  return largest;
}
