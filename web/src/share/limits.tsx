import type { JSX } from "preact";
import { useId, useRef } from "preact/hooks";
import type { Limits } from "../api/shares";
import { t, type Text } from "../strings";
import { Button } from "../ui/button";

const DAY_MS = 24 * 3600 * 1000;
const EXPIRIES: [days: number | null, label: Text][] = [
  [1, "share.days.day"],
  [7, "share.days.week"],
  [30, "share.days.month"],
  [null, "share.days.never"],
];

interface Props {
  /** What a file's link limits, or a folder's. */
  count: "max_downloads" | "max_files";
  titled?: boolean;
  busy: boolean;
  make: (limits: Limits) => Promise<boolean>;
}

/** How long, how often and by whom a link can be used. */
export function LimitsForm({ count, titled, busy, make }: Props): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [expiry, password, most, title] = [useId(), useId(), useId(), useId()];
  const field = (id: string): HTMLInputElement => document.getElementById(id) as HTMLInputElement;
  const submit = async (): Promise<void> => {
    for (const one of box.current?.querySelectorAll("input") ?? []) if (!one.reportValidity()) return;
    const limits: Limits = {};
    const days = Number(field(expiry).value);
    if (days > 0) limits.expires_at = new Date(Date.now() + days * DAY_MS).toISOString();
    if (field(password).value !== "") limits.password = field(password).value;
    if (field(most).value !== "") limits[count] = Number(field(most).value);
    if (titled && field(title).value.trim() !== "") limits.title = field(title).value.trim();
    if (!(await make(limits))) return;
    for (const one of box.current?.querySelectorAll("input") ?? []) one.value = "";
  };
  return (
    <div
      ref={box}
      class="share"
      onKeyDown={(event) => {
        if (event.key !== "Enter" || !(event.target instanceof HTMLInputElement)) return;
        event.preventDefault();
        void submit();
      }}
    >
      {titled && (
        <label class="field" for={title}>
          <span>{t("share.title")}</span>
          <input id={title} type="text" maxLength={255} autocomplete="off" placeholder={t("share.titleExample")} />
        </label>
      )}
      <div class="row">
        <label class="field" for={expiry}>
          <span>{t("share.expires")}</span>
          <select id={expiry}>
            {EXPIRIES.map(([days, label]) => (
              <option key={label} value={days ?? 0} selected={days === 7}>
                {t(label)}
              </option>
            ))}
          </select>
        </label>
        <label class="field" for={most}>
          <span>{t(count === "max_files" ? "share.maxFiles" : "share.maxDownloads")}</span>
          <input id={most} type="number" min={1} max={2 ** 31 - 1} step={1} placeholder={t("share.noLimit")} />
        </label>
      </div>
      <div class="row">
        <label class="field" for={password}>
          <span>{t("share.password")}</span>
          <input
            id={password}
            type="password"
            minLength={6}
            maxLength={1024}
            autocomplete="new-password"
            placeholder={t("share.passwordHint")}
          />
        </label>
        <Button label={t("share.make")} icon="link" look="main" disabled={busy} onClick={() => void submit()} />
      </div>
    </div>
  );
}
