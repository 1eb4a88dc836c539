// The six figures on top. All of them come from Redis: one that is old, or not known yet, is grey.

import { byId, compact, count, plural, rate, setAttribute, setText, span, time } from "./dom.js";

/** The last point that is known. */
let last = null;

function figure(name, { value, unit, note, isAlarm = false, isOld }) {
  setText(byId(`f-${name}`), value);
  if (unit !== undefined) setText(byId(`u-${name}`), unit);
  setText(byId(`n-${name}`), note);
  const tile = byId(`f-${name}`).closest(".figure");
  setAttribute(tile, "data-alarm", isAlarm && !isOld ? "true" : null);
  setAttribute(tile, "data-old", isOld ? "true" : null);
}

function oldest(seconds, waiting) {
  if (seconds === null) return { value: "–", unit: "", note: "not known", isOld: true };
  const [value, unit] = seconds === 0 ? ["0", "s"] : span(seconds);
  const note = waiting > 0 ? "" : seconds > 0 ? "in flight" : "nothing waits";
  return { value, unit, note, isOld: false };
}

export function show({ status, point, outage, account_at_ms: accountAt, oldest_seconds: seconds }) {
  last = point ?? last;
  const waiting = status.queued + status.buffered;
  const rates = (column, note) => {
    if (!last) return { value: "–", note: "not known", isOld: true };
    const old = outage ? `as of ${time(last[0])}` : null;
    return { value: rate(last[column]), note: old ?? note(last), isOld: old !== null };
  };
  const counts = (number, note) => {
    if (accountAt === null) return { value: "–", note: "not known", isOld: true };
    const old = outage ? `as of ${time(accountAt)}` : null;
    return { value: compact(number), note: old ?? note, isOld: old !== null };
  };
  figure("processed", rates(2, ([, received]) => `${rate(received)}/s received`));
  figure("failed", { ...rates(3, () => `${compact(status.dead_lettered)} in all`), isAlarm: last?.[3] > 0 });
  figure("duplicate", rates(4, () => `${compact(status.duplicate)} in all`));
  figure("queued", counts(waiting, status.buffered > 0 ? `${count(status.buffered)} not in Redis yet` : ""));
  figure("oldest", oldest(outage ? null : seconds, waiting));
  figure("in-flight", counts(status.in_flight, plural(status.consumers.length, "consumer")));
}

/** Greys all: nothing has been heard of the group. */
export function fade() {
  for (const tile of document.querySelectorAll(".figure")) {
    setAttribute(tile, "data-alarm", null);
    setAttribute(tile, "data-old", "true");
  }
}
