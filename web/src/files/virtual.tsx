import type { ComponentChildren, JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

const AROUND = 4;

interface Props {
  rows: number;
  rowHeight: number;
  /** The row that the keyboard is at is kept in sight when it changes. */
  at: number;
  /** Called with the last row in sight. */
  onReach: (row: number) => void;
  render: (first: number, last: number) => ComponentChildren;
  class?: string;
}

/** Rows of one height, of which those near the window's part of the page are there. */
export function VirtualRows({ rows, rowHeight, at, onReach, render, class: name }: Props): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ first: 0, last: 30 });
  const last = Math.min(rows, range.last);
  const look = (): void => {
    const top = box.current?.getBoundingClientRect().top ?? 0;
    const first = Math.max(0, Math.floor(-top / rowHeight) - AROUND);
    const end = Math.ceil((innerHeight - top) / rowHeight) + AROUND;
    setRange((now) => (now.first === first && now.last === end ? now : { first, last: end }));
  };
  useLayoutEffect(look, [rows, rowHeight]);
  useEffect(() => {
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [rowHeight]);
  useEffect(() => onReach(last), [last, rows]);
  const first = Math.min(range.first, Math.max(0, rows - 1));
  const seen = useRef(at);
  useEffect(() => {
    if (seen.current === at || box.current === null) return;
    seen.current = at;
    const top = box.current.getBoundingClientRect().top + at * rowHeight;
    const [upper, lower] = [150, innerHeight - 90];
    if (top < upper) scrollBy({ top: top - upper });
    else if (top + rowHeight > lower) scrollBy({ top: top + rowHeight - lower });
  }, [at]);
  return (
    <div ref={box} class={name} role="presentation" style={{ height: `${rows * rowHeight}px`, position: "relative" }}>
      <div role="presentation" style={{ position: "absolute", insetInline: 0, top: `${first * rowHeight}px` }}>
        {render(first, last)}
      </div>
    </div>
  );
}
