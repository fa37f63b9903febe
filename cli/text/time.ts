const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Returns how long something takes, in words: its largest unit, and the next one where that matters. */
export function inWords(ms: number): string {
  const whole = Math.max(0, ms);
  if (whole < SECOND_MS) return "less than a second";
  if (whole < MINUTE_MS) return count(Math.floor(whole / SECOND_MS), "second");
  if (whole < HOUR_MS) return count(Math.floor(whole / MINUTE_MS), "minute");
  if (whole < DAY_MS) return both(whole, [HOUR_MS, "hour"], [MINUTE_MS, "minute"]);
  return both(whole, [DAY_MS, "day"], [HOUR_MS, "hour"]);
}

type Unit = readonly [ms: number, name: string];

function both(ms: number, [largeMs, large]: Unit, [smallMs, small]: Unit): string {
  const rest = Math.floor((ms % largeMs) / smallMs);
  const first = count(Math.floor(ms / largeMs), large);
  return rest === 0 ? first : `${first} ${count(rest, small)}`;
}

/** Returns a number with its noun: "1 task", "2 tasks". */
export function count(number: number, noun: string): string {
  return `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** Returns a number with its thousands apart. */
export function grouped(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Returns an instant beside now: "14 minutes ago", "in 16 minutes". */
export function fromNow(atMs: number, nowMs: number): string {
  return atMs > nowMs ? `in ${inWords(atMs - nowMs)}` : `${inWords(nowMs - atMs)} ago`;
}

/** Returns an instant as `2026-11-30 13:00:00 UTC`. */
export function instant(atMs: number): string {
  const date = new Date(atMs);
  if (Number.isNaN(date.getTime())) return String(atMs);
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** Returns an instant, and how far it is from now. */
export function when(atMs: number, nowMs: number): string {
  return `${fromNow(atMs, nowMs)} (${instant(atMs)})`;
}
