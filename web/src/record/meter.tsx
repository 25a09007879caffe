import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

const BARS = 60;
const EVERY_MS = 60;
const GAP = 0.4;
// What quiet speech comes to is to be seen as well.
const GAIN = 3;

/** The level of the last seconds, drawn from the right. What it shows is also told in words. */
export function Meter({ stream, live }: { stream: MediaStream | null; live: boolean }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const levels = useRef<number[]>([]);
  useEffect(() => {
    levels.current = [];
    draw(canvas.current, levels.current);
    if (stream === null) return;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const timer = setInterval(() => {
      if (canvas.current?.dataset.live !== "yes") return;
      analyser.getFloatTimeDomainData(samples);
      const loudness = Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length);
      levels.current = [...levels.current.slice(1 - BARS), Math.min(1, loudness * GAIN)];
      draw(canvas.current, levels.current);
    }, EVERY_MS);
    return () => {
      clearInterval(timer);
      void context.close();
    };
  }, [stream]);
  return <canvas ref={canvas} class="meter" width={1152} height={176} data-live={live ? "yes" : "no"} aria-hidden="true" />;
}

function draw(canvas: HTMLCanvasElement | null, levels: number[]): void {
  const context = canvas?.getContext("2d");
  if (!canvas || !context) return;
  context.clearRect(0, 0, canvas.width, canvas.height);
  const step = canvas.width / BARS;
  const width = step * (1 - GAP);
  context.fillStyle = getComputedStyle(canvas).color;
  for (let n = 0; n < BARS; n += 1) {
    const level = levels[n - BARS + levels.length];
    const height = Math.max(width, (level ?? 0) * canvas.height);
    context.globalAlpha = level === undefined ? 0.3 : 1;
    context.beginPath();
    context.roundRect(n * step + (step - width) / 2, (canvas.height - height) / 2, width, height, width / 2);
    context.fill();
  }
}
