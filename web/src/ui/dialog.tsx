import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useLayoutEffect, useId, useRef, useState } from "preact/hooks";
import { inWords } from "../errors";
import { t } from "../strings";
import { Button } from "./button";

type Shown = { key: number; render: (close: () => void) => JSX.Element };

const shown = signal<Shown[]>([]);
let lastKey = 0;

/** Open a dialog from anywhere; `render` returns a `Dialog` and is given what closes it. */
export function openDialog(render: (close: () => void) => JSX.Element): void {
  shown.value = [...shown.value, { key: ++lastKey, render }];
}

/** Where opened dialogs appear: once, in the app. */
export function Dialogs(): JSX.Element {
  return (
    <>
      {shown.value.map(({ key, render }) => (
        <Opened key={key} render={render} close={() => (shown.value = shown.value.filter((one) => one.key !== key))} />
      ))}
    </>
  );
}

function Opened({ render, close }: { render: Shown["render"]; close: () => void }): JSX.Element {
  return render(close);
}

interface DialogProps {
  title: string;
  close: () => void;
  children: ComponentChildren;
  /** Buttons at the end; without any there is one that closes. */
  buttons?: ComponentChildren;
  wide?: boolean;
  /** Called when Enter is pressed in a field, or the submit button. */
  onSubmit?: () => void;
}

/** A modal dialog: the browser keeps the focus in it, and gives it back. */
export function Dialog({ title, close, children, buttons, wide, onSubmit }: DialogProps): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  const name = useId();
  useLayoutEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const submit = (event: Event): void => {
    event.preventDefault();
    onSubmit?.();
  };
  return (
    <dialog
      ref={element}
      class={wide ? "dialog wide" : "dialog"}
      aria-labelledby={name}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => event.target === element.current && close()}
    >
      <form method="dialog" onSubmit={submit}>
        <header>
          <h2 id={name}>{title}</h2>
          <Button label={t("app.close")} icon="close" look="quiet" bare onClick={close} />
        </header>
        <div class="dialog-body">{children}</div>
        <footer>{buttons ?? <Button label={t("app.close")} onClick={close} />}</footer>
      </form>
    </dialog>
  );
}

interface Question {
  title: string;
  text: string;
  confirm: string;
  danger?: boolean;
}

/** Ask whether to go on. */
export function ask({ title, text, confirm, danger }: Question): Promise<boolean> {
  return new Promise((resolve) => {
    openDialog((close) => {
      const answer = (yes: boolean): void => {
        close();
        resolve(yes);
      };
      const buttons = (
        <>
          <Button label={t("app.cancel")} onClick={() => answer(false)} />
          <Button label={confirm} look={danger ? "danger" : "main"} type="submit" autofocus />
        </>
      );
      return (
        <Dialog title={title} close={() => answer(false)} buttons={buttons} onSubmit={() => answer(true)}>
          <p>{text}</p>
        </Dialog>
      );
    });
  });
}

interface TextQuestion {
  title: string;
  label: string;
  confirm: string;
  value?: string;
  /** How many characters at the beginning are selected; all without it. */
  selected?: number;
  hint?: string;
  /** Does what is asked for; what it throws is shown, and the dialog stays open. */
  run: (text: string) => Promise<void>;
}

/** Ask for a text, and do something with it. */
export function askText(question: TextQuestion): void {
  openDialog((close) => <TextDialog {...question} close={close} />);
}

function TextDialog({ title, label, confirm, value = "", selected, hint, run, close }: TextQuestion & { close: () => void }): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [field, told] = [useId(), useId()];
  useLayoutEffect(() => {
    input.current?.focus();
    input.current?.setSelectionRange(0, selected ?? value.length);
  }, []);
  const submit = async (): Promise<void> => {
    setBusy(true);
    try {
      await run(input.current?.value ?? "");
      close();
    } catch (error) {
      setProblem(inWords(error));
      setBusy(false);
      input.current?.focus();
    }
  };
  const buttons = (
    <>
      <Button label={t("app.cancel")} onClick={close} />
      <Button label={confirm} look="main" type="submit" disabled={busy} />
    </>
  );
  return (
    <Dialog title={title} close={close} buttons={buttons} onSubmit={() => void submit()}>
      <label class="field" for={field}>
        <span>{label}</span>
        <input
          id={field}
          ref={input}
          type="text"
          defaultValue={value}
          required
          maxLength={1024}
          autocomplete="off"
          aria-describedby={told}
          aria-invalid={problem !== ""}
        />
      </label>
      <p id={told} class={problem ? "problem" : "hint"} role={problem ? "alert" : undefined}>
        {problem || hint}
      </p>
    </Dialog>
  );
}
