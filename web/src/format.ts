/** Numbers, sizes and times as people write them here. */

const LANGUAGE = navigator.language;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
const whole = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium" });
const moment = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(LANGUAGE, { timeStyle: "short" });
const percentage = new Intl.NumberFormat(LANGUAGE, { style: "percent" });

export const formatNumber = (value: number): string => whole.format(value);

export const formatPercent = (share: number): string => percentage.format(share);

export function formatSize(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit > 0 && value < 100 ? oneDigit : whole;
  return `${digits.format(value)} ${UNITS[unit]}`;
}

/** The time where it is today, the day otherwise. */
export function formatDay(time: string): string {
  const date = new Date(time);
  return date.toDateString() === new Date().toDateString() ? clock.format(date) : day.format(date);
}

export const formatTime = (time: string): string => moment.format(new Date(time));

/** 75 s is 1:15. */
export function formatDuration(seconds: number): string {
  const all = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (value: number): string => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
