import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { session } from "../api/session";
import { formatDay, formatDuration, formatPercent, formatSize } from "../format";
import { t } from "../strings";
import { Button } from "../ui/button";
import { ask, askText } from "../ui/dialog";
import { Icon, type IconName } from "../ui/icons";
import { Menu, type MenuItem } from "../ui/menu";
import { online } from "../ui/shell";
import { save } from "./saving";
import { outOfReach, sendAnew, sending } from "./sending";
import { fileNameOf } from "./sound";
import { change, remove, soundOf, type Recording } from "./store";

/** What lies on this device, and how each stands. */
export function Kept({ recordings }: { recordings: Recording[] }): JSX.Element {
  if (recordings.length === 0) return <p class="hint nothing">{t("record.nothing")}</p>;
  return (
    <ul class="kept">
      {recordings.map((one) => (
        <li key={one.id} class="card" aria-label={one.name}>
          <Row recording={one} />
        </li>
      ))}
    </ul>
  );
}

function Row({ recording }: { recording: Recording }): JSX.Element {
  const [sound, setSound] = useState<string | null>(null);
  useEffect(() => () => URL.revokeObjectURL(sound ?? ""), [sound]);
  const share = sending.value?.id === recording.id ? sending.value.share : null;
  const play = async (): Promise<void> => setSound(URL.createObjectURL(await soundOf(recording)));
  return (
    <>
      <div class="about">
        <Button
          label={t(sound === null ? "record.play" : "record.closePlayer", { name: recording.name })}
          icon={sound === null ? "play" : "close"}
          bare
          onClick={() => (sound === null ? void play() : setSound(null))}
        />
        <div class="words">
          <h3>{recording.name}</h3>
          <p class="hint">
            {formatDay(recording.startedAt)} · {formatDuration(recording.duration_s)} · {formatSize(recording.size)}
          </p>
        </div>
        <State recording={recording} share={share} />
        {share === null && <Menu label={t("record.more", { name: recording.name })} icon="more" items={menuOf(recording)} />}
      </div>
      {share !== null && <progress value={share} max={1} aria-label={t("record.sendingOf", { name: recording.name })} />}
      {sound !== null && <Player src={sound} />}
      {recording.state === "failed" && (
        <Offer text={recording.problem ?? ""}>
          <Button label={t("app.again")} icon="retry" onClick={() => void sendIt(recording)} />
        </Offer>
      )}
      {recording.state === "cut" && (
        <Offer text={t("record.cutOff", { time: formatDuration(recording.duration_s) })}>
          <Button label={t("record.keepIt")} look="main" icon="check" onClick={() => void sendIt(recording)} />
          <Button label={t("record.deleteIt")} icon="trash" onClick={() => void deleteIt(recording)} />
        </Offer>
      )}
    </>
  );
}

function Offer({ text, children }: { text: string; children: JSX.Element | JSX.Element[] }): JSX.Element {
  return (
    <div class="offer">
      <p>{text}</p>
      <div class="actions">{children}</div>
    </div>
  );
}

function State({ recording, share }: { recording: Recording; share: number | null }): JSX.Element {
  const [icon, text] = stateOf(recording, share);
  return (
    <span class={`chip ${recording.state}`}>
      <Icon name={icon} size={16} /> {text}
    </span>
  );
}

function stateOf(recording: Recording, share: number | null): [IconName, string] {
  if (share !== null) return ["upload", t("record.state.sending", { share: formatPercent(share) })];
  if (recording.state === "sent") return ["check", t("record.state.sent")];
  if (recording.state === "failed") return ["error", t("record.state.failed")];
  if (recording.state === "cut") return ["info", t("record.state.cut")];
  if (recording.owner === "") return ["lock", t("record.state.here")];
  if (session.value !== "in") return ["lock", t("record.state.signIn")];
  if (!online.value) return ["offline", t("record.state.network")];
  return ["history", t(outOfReach.value ? "record.state.again" : "record.state.waiting")];
}

function menuOf(recording: Recording): MenuItem[] {
  const items: (MenuItem | false)[] = [
    recording.state === "waiting" && { label: t("record.sendNow"), icon: "upload", run: () => sendAnew() },
    recording.state !== "sent" && { label: t("record.rename"), icon: "edit", run: () => renameIt(recording) },
    { label: t("record.save"), icon: "download", run: () => void saveIt(recording) },
    { label: t("record.delete"), icon: "trash", danger: true, run: () => void deleteIt(recording) },
  ];
  return items.filter((one) => one !== false);
}

async function sendIt(recording: Recording): Promise<void> {
  await change(recording.id, { state: "waiting", problem: null });
  sendAnew();
}

async function saveIt(recording: Recording): Promise<void> {
  save(await soundOf(recording), fileNameOf(recording));
}

function renameIt(recording: Recording): void {
  askText({
    title: t("record.rename"),
    label: t("record.name"),
    confirm: t("app.save"),
    value: recording.name,
    // A part that was sent is called what it was called.
    run: (name) => change(recording.id, { name: name.trim() || recording.name, uploadUrl: null, fileName: null }),
  });
}

async function deleteIt(recording: Recording): Promise<void> {
  const text = t(recording.state === "sent" ? "record.deleteCopy" : "record.deleteOnly", { name: recording.name });
  const sure = await ask({ title: t("record.deleteTitle"), text, confirm: t("record.delete"), danger: true });
  if (sure) await remove(recording.id);
}

/** Browsers write no length into what they record: it is found by going to the end once. */
function Player({ src }: { src: string }): JSX.Element {
  const measure = (event: Event): void => {
    const player = event.currentTarget as HTMLAudioElement;
    if (player.duration !== Infinity) return;
    player.addEventListener("durationchange", () => (player.currentTime = 0), { once: true });
    player.currentTime = Number.MAX_SAFE_INTEGER;
  };
  return <audio src={src} controls autoplay onLoadedMetadata={measure} />;
}
