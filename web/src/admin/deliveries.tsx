import type { JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { listDeliveries, sendAgain, type Delivery, type Webhook } from "../api/admin";
import { inWords } from "../errors";
import { formatTime } from "../format";
import { t } from "../strings";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Skeleton } from "../ui/page";
import { toast, toastProblem } from "../ui/toast";

const PAGE = 20;
const STATES: Delivery["state"][] = ["pending", "running", "completed", "failed"];

/** What was sent to a webhook and what waits, newest first; what was given up can be sent again. */
export function Deliveries({ hook, close }: { hook: Webhook; close: () => void }): JSX.Element {
  const [found, setFound] = useState<Delivery[] | null>(null);
  const [more, setMore] = useState<string | null>(null);
  const [state, setState] = useState("");
  const [problem, setProblem] = useState("");
  const id = useId();
  const load = async (cursor: string | null): Promise<void> => {
    try {
      const page = await listDeliveries(hook.id, { state: state || null, cursor, limit: PAGE });
      setFound((before) => (cursor === null ? page.items : [...(before ?? []), ...page.items]));
      setMore(page.next_cursor);
    } catch (error) {
      setProblem(inWords(error));
    }
  };
  useEffect(() => void load(null), [state]);
  const again = async (one: Delivery): Promise<void> => {
    try {
      await sendAgain(hook.id, one.id);
      toast(t("admin.sentAgain"));
      await load(null);
    } catch (error) {
      toastProblem(error);
    }
  };
  return (
    <Dialog title={t("admin.messagesTo", { address: hook.url })} close={close} wide>
      <label class="field" for={id}>
        <span>{t("admin.state")}</span>
        <select id={id} value={state} onChange={(event) => setState(event.currentTarget.value)}>
          <option value="">{t("admin.allStates")}</option>
          {STATES.map((one) => (
            <option key={one} value={one}>
              {t(`admin.states.${one}`)}
            </option>
          ))}
        </select>
      </label>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {found === null && !problem && <Skeleton lines={3} />}
      {found?.length === 0 && (
        <p class="hint">
          {t("admin.noMessages")}. {t("admin.noMessagesText")}
        </p>
      )}
      {found !== null && found.length > 0 && (
        <ul class="deliveries" aria-label={t("admin.messages")}>
          {found.map((one) => (
            <Message key={one.id} one={one} again={() => void again(one)} />
          ))}
        </ul>
      )}
      {more !== null && <Button label={t("trash.more")} look="quiet" onClick={() => void load(more)} />}
    </Dialog>
  );
}

function Message({ one, again }: { one: Delivery; again: () => void }): JSX.Element {
  const next = one.next_attempt_at;
  const known = [
    formatTime(one.timestamp),
    ...(one.attempts > 0 ? [t("admin.attempts", { n: one.attempts })] : []),
    ...(next !== null && one.attempts > 0 ? [t("admin.nextAttempt", { time: formatTime(next) })] : []),
  ];
  return (
    <li>
      <div>
        <code>{one.type}</code>
        <p class="hint">{known.join(" · ")}</p>
        {one.error && <p class="bad">{one.error}</p>}
      </div>
      <span class={`chip ${one.state}`}>{t(`admin.states.${one.state}`)}</span>
      {one.state === "failed" && <Button label={t("admin.sendAgain")} look="quiet" onClick={again} />}
    </li>
  );
}
