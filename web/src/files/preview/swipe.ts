const LEAST_PX = 60;

interface Ways {
  left: () => void;
  right: () => void;
}

interface Handlers {
  onTouchStart: (event: TouchEvent) => void;
  onTouchEnd: (event: TouchEvent) => void;
}

let began: { x: number; y: number } | null = null;

/** Handlers for a finger that goes to the left or the right, and not up or down. */
export function swiped(ways: Ways): Handlers {
  return {
    onTouchStart: (event) => {
      const [only] = event.touches;
      const zoomed = (visualViewport?.scale ?? 1) > 1.05;
      const elsewhere = (event.target as Element).closest("input, video, .scrolls") !== null;
      began = event.touches.length === 1 && only && !zoomed && !elsewhere ? { x: only.clientX, y: only.clientY } : null;
    },
    onTouchEnd: (event) => {
      const [ended] = event.changedTouches;
      if (began === null || ended === undefined) return;
      const [right, down] = [ended.clientX - began.x, ended.clientY - began.y];
      began = null;
      if (Math.abs(right) < LEAST_PX || Math.abs(right) < 2 * Math.abs(down)) return;
      if (right < 0) ways.left();
      else ways.right();
    },
  };
}
