import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { addWebhook, changeWebhook, listWebhooks, removeWebhook, type Webhook } from "../api/admin";
import { inWords } from "../errors";
import { t } from "../strings";
import { Button } from "../ui/button";
import { ask, Dialog, openDialog } from "../ui/dialog";
import { Menu } from "../ui/menu";
import { Empty } from "../ui/page";
import { toastProblem } from "../ui/toast";
import { Deliveries } from "./deliveries";
import { Loaded } from "./loaded";

/** Other programs that are told of what happens. */
export function Webhooks(): JSX.Element {
  return (
    <Loaded load={listWebhooks}>
      {(hooks, reload) => (
        <>
          <div class="filters">
            <Button
              label={t("admin.newWebhook")}
              icon="add"
              look="main"
              onClick={() => openDialog((close) => <NewWebhook close={close} done={reload} />)}
            />
          </div>
          {hooks.length === 0 ? (
            <Empty icon="link" title={t("admin.noWebhooks")} text={t("admin.noWebhooksText")} />
          ) : (
            <HookTable hooks={hooks} reload={reload} />
          )}
        </>
      )}
    </Loaded>
  );
}

function HookTable({ hooks, reload }: { hooks: Webhook[]; reload: () => void }): JSX.Element {
  return (
    <div class="table">
      <table>
        <thead>
          <tr>
            <th scope="col">{t("admin.address")}</th>
            <th scope="col">{t("admin.events")}</th>
            <th scope="col">{t("admin.state")}</th>
            <th scope="col" class="end">
              <span class="sr-only">{t("admin.actions")}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {hooks.map((one) => (
            <tr key={one.id} class={one.disabled_at === null ? "" : "disabled"}>
              <td data-name={t("admin.address")}>
                <code>{one.url}</code>
              </td>
              <td data-name={t("admin.events")}>{one.events.join(", ") || t("admin.allEvents")}</td>
              <td data-name={t("admin.state")}>{one.disabled_at === null ? t("admin.enabled") : (one.disabled_why ?? t("admin.disabled"))}</td>
              <td class="end">
                <Menu label={t("admin.actionsFor", { name: one.url })} icon="more" items={actionsOf(one, reload)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function actionsOf(hook: Webhook, reload: () => void): { label: string; danger?: boolean; run: () => void }[] {
  const disabled = hook.disabled_at === null;
  const remove = async (): Promise<void> => {
    const sure = { title: t("admin.removeWebhook"), text: t("admin.removeWebhookText"), confirm: t("admin.removeIt"), danger: true };
    if (!(await ask(sure))) return;
    await removeWebhook(hook.id).catch(toastProblem);
    reload();
  };
  return [
    { label: t("admin.messages"), run: () => openDialog((close) => <Deliveries hook={hook} close={close} />) },
    {
      label: disabled ? t("admin.disable") : t("admin.enable"),
      run: () => void changeWebhook(hook.id, { disabled }).catch(toastProblem).then(reload),
    },
    { label: t("admin.removeIt"), danger: true, run: () => void remove() },
  ];
}

function NewWebhook({ close, done }: { close: () => void; done: () => void }): JSX.Element {
  const [url, setUrl] = useState("");
  const [events, setEvents] = useState("");
  const [secret, setSecret] = useState<string | null>(null);
  const [problem, setProblem] = useState("");
  const [urlId, eventsId] = [useId(), useId()];
  const submit = async (): Promise<void> => {
    try {
      const made = await addWebhook({ url, events: events.split(/[\s,]+/).filter(Boolean) });
      setSecret(made.secret ?? "");
      done();
    } catch (error) {
      setProblem(inWords(error));
    }
  };
  if (secret !== null) {
    return (
      <Dialog title={t("admin.secret")} close={close}>
        <p>{t("admin.secretText")}</p>
        <p class="secret">{secret}</p>
      </Dialog>
    );
  }
  const buttons = (
    <>
      <Button label={t("app.cancel")} onClick={close} />
      <Button label={t("admin.make")} look="main" type="submit" />
    </>
  );
  return (
    <Dialog title={t("admin.newWebhook")} close={close} buttons={buttons} onSubmit={() => void submit()}>
      <label class="field" for={urlId}>
        <span>{t("admin.address")}</span>
        <input
          id={urlId}
          type="url"
          required
          autofocus
          maxLength={2048}
          value={url}
          placeholder={t("admin.addressHint")}
          onInput={(event) => setUrl(event.currentTarget.value)}
        />
      </label>
      <label class="field" for={eventsId}>
        <span>{t("admin.events")}</span>
        <input
          id={eventsId}
          type="text"
          value={events}
          placeholder="file.created file.deleted"
          onInput={(event) => setEvents(event.currentTarget.value)}
        />
      </label>
      <p class="hint">{t("admin.eventsHint")}</p>
      <p class="problem" role="alert">
        {problem}
      </p>
    </Dialog>
  );
}
