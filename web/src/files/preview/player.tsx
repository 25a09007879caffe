import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { linkOf } from "../../api/files";
import { levelsOf, pictureOf } from "../../api/pictures";
import { formatDuration } from "../../format";
import { t } from "../../strings";
import { Button } from "../../ui/button";
import { Skeleton } from "../../ui/page";
import { toShow } from "../download";
import { Facts } from "./facts";
import { useLoading, useObjectUrl } from "./loading";
import type { ShownProps } from "./stage";
import { Waveform } from "./waveform";

const POSTER_PX = 1280;

/** A film, by ranges through a signed link. */
export function Film({ file }: ShownProps): JSX.Element {
  const [unplayable, setUnplayable] = useState(false);
  const { found: link, problem } = useLoading(() => linkOf(file.id), [file.id]);
  const { found: picture } = useLoading((signal) => pictureOf(file, POSTER_PX, signal), [file.id]);
  const poster = useObjectUrl(picture);
  if (problem !== null) return <Facts file={file} why={problem} />;
  if (unplayable) {
    return (
      <Facts file={file} why={t("preview.unplayable")}>
        {poster && <img class="poster" src={poster} alt="" />}
      </Facts>
    );
  }
  if (link === null) return <Skeleton lines={1} />;
  return (
    <video
      class="film"
      controls
      playsInline
      preload="metadata"
      aria-label={file.name}
      {...(poster && { poster })}
      src={toShow(link)}
      onError={() => setUnplayable(true)}
    />
  );
}

/** A sound; its waveform is the bar in which one goes on elsewhere. */
export function Sound({ file }: ShownProps): JSX.Element {
  const [unplayable, setUnplayable] = useState(false);
  const { found: link, problem } = useLoading(() => linkOf(file.id), [file.id]);
  const { found: levels } = useLoading((signal) => levelsOf(file, signal), [file.id]);
  const audio = useRef<HTMLAudioElement>(null);
  const [playing, setPlaying] = useState(false);
  const [at, setAt] = useState(0);
  const [length, setLength] = useState(0);
  useEffect(() => {
    if (!playing) return;
    // `timeupdate` comes four times a second: too seldom for a bar that moves.
    let frame = requestAnimationFrame(function follow() {
      setAt(audio.current?.currentTime ?? 0);
      frame = requestAnimationFrame(follow);
    });
    return () => cancelAnimationFrame(frame);
  }, [playing]);
  if (problem !== null || unplayable) return <Facts file={file} why={problem ?? t("preview.unplayable")} />;
  if (link === null) return <Skeleton lines={1} />;
  const duration = Number.isFinite(length) && length > 0 ? length : (levels?.duration_s ?? 0);
  const seek = (to: number): void => {
    if (audio.current) audio.current.currentTime = to;
    setAt(to);
  };
  const toggle = (): void => {
    if (playing) audio.current?.pause();
    else void audio.current?.play().catch(() => setUnplayable(true));
  };
  return (
    <div class="sound">
      <p class="facts-name">{file.name}</p>
      <Waveform levels={levels} at={at} duration={duration} seek={seek} />
      <div class="sound-controls">
        <Button
          class="play"
          label={playing ? t("preview.pause") : t("preview.play")}
          icon={playing ? "pause" : "play"}
          look="main"
          bare
          autofocus
          onClick={toggle}
        />
        <span class="hint">
          {formatDuration(at)} / {formatDuration(duration)}
        </span>
      </div>
      <audio
        ref={audio}
        src={toShow(link)}
        preload="metadata"
        onLoadedMetadata={(event) => setLength(event.currentTarget.duration)}
        onDurationChange={(event) => setLength(event.currentTarget.duration)}
        onPlay={() => setPlaying(true)}
        onPause={() => setPlaying(false)}
        onTimeUpdate={(event) => setAt(event.currentTarget.currentTime)}
        onError={() => setUnplayable(true)}
      />
    </div>
  );
}
