import type { JSX } from "preact";
import { useLayoutEffect, useId, useRef, useState } from "preact/hooks";
import { Button } from "./button";
import { Icon, type IconName } from "./icons";

export interface MenuItem {
  label: string;
  icon?: IconName;
  danger?: boolean;
  checked?: boolean;
  run: () => void;
}

interface MenuProps {
  label: string;
  icon?: IconName;
  /** A function is asked when it is opened. */
  items: MenuItem[] | (() => MenuItem[]);
  bare?: boolean;
  look?: "plain" | "main" | "quiet";
  /** Not reached by Tab: what is around it has a key of its own for it. */
  outOfOrder?: boolean;
}

/** A button that opens a list of things to do; arrow keys move in it, Escape closes it. */
export function Menu({ label, icon, items, bare = true, look = "quiet", outOfOrder }: MenuProps): JSX.Element {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  const button = (): HTMLButtonElement | null | undefined => box.current?.querySelector("button");
  const entries = (): HTMLButtonElement[] => [...(box.current?.querySelectorAll<HTMLButtonElement>("[role^=menuitem]") ?? [])];
  useLayoutEffect(() => {
    if (!open) return;
    entries()[0]?.focus();
    const outside = (event: Event): void => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [open]);
  const close = (): void => {
    setOpen(false);
    button()?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (!open) return;
    const all = entries();
    const at = all.indexOf(document.activeElement as HTMLButtonElement);
    const steps: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
    const to = steps[event.key];
    if (event.key === "Escape") close();
    else if (event.key === "Tab") setOpen(false);
    else if (to !== undefined) all.at(to % all.length)?.focus();
    if (event.key === "Escape" || to !== undefined) {
      event.preventDefault();
      event.stopPropagation();
    }
  };
  return (
    <div class="menu" ref={box} onKeyDown={onKeyDown}>
      <Button
        label={label}
        {...(icon && { icon })}
        look={look}
        bare={bare}
        {...(outOfOrder && { tabIndex: -1 })}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={() => setOpen(!open)}
      />
      {open && (
        <div class="menu-list" id={id} role="menu" aria-label={label}>
          {(typeof items === "function" ? items() : items).map((one) => (
            <button
              key={one.label}
              type="button"
              role={one.checked === undefined ? "menuitem" : "menuitemradio"}
              aria-checked={one.checked}
              class={one.danger ? "danger" : ""}
              tabIndex={-1}
              onClick={() => {
                close();
                one.run();
              }}
            >
              {one.icon && <Icon name={one.icon} />}
              <span>{one.label}</span>
              {one.checked && <Icon name="check" size={16} />}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
