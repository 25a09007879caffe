import type { JSX } from "preact";

interface Meaning {
  open: () => void;
  select: (event: { shiftKey: boolean }) => void;
  /** Whether something is selected: then a tap selects more. */
  selecting: () => boolean;
}

const LONG_MS = 450;
const NEAR_PX = 10;

/**
 * What a click and a touch mean: a click opens, with Ctrl or Shift it selects; a long press begins
 * to select, and then taps go on.
 */
export function touchAware({ open, select, selecting }: Meaning): JSX.HTMLAttributes<HTMLDivElement> {
  let pressed: ReturnType<typeof setTimeout> | undefined;
  let [x, y] = [0, 0];
  const release = (): void => clearTimeout(pressed);
  return {
    onPointerDown: (event) => {
      if (event.pointerType === "mouse") return;
      [x, y] = [event.clientX, event.clientY];
      release();
      const element = event.currentTarget;
      pressed = setTimeout(() => {
        // The click that follows a long press means nothing more.
        element.addEventListener("click", swallow, { capture: true, once: true });
        setTimeout(() => element.removeEventListener("click", swallow, { capture: true }), 1500);
        select({ shiftKey: false });
      }, LONG_MS);
    },
    onPointerMove: (event) => {
      if (Math.hypot(event.clientX - x, event.clientY - y) > NEAR_PX) release();
    },
    onPointerUp: release,
    onPointerCancel: release,
    onContextMenu: (event) => {
      // A long press of a touch asks for it as well.
      if ((event as unknown as PointerEvent).pointerType === "touch") event.preventDefault();
    },
    onClick: (event) => {
      const touched = (event as unknown as PointerEvent).pointerType !== "mouse";
      if (event.ctrlKey || event.metaKey || event.shiftKey || (touched && selecting())) select(event);
      else open();
    },
  };
}

function swallow(event: Event): void {
  event.stopPropagation();
  event.preventDefault();
}
