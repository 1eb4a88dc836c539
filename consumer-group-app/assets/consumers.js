// The table of consumers.

import { byId, count, keyed, make, millis, plural, rate, setAttribute, setText, time } from "./dom.js";

/** How long one that left is still shown, and how many such at the most. */
const LEFT_MS = 60000;
const MOST_LEFT = 20;

const body = document.querySelector("#consumers tbody");
const LABELS = ["Consumer", "State", "Messages/s", "In flight / limit", "p50", "p99", "Failures", "Last error", "Since"];
const CLASSES = ["id", "", "num", "num", "num", "num", "num", "error", "since"];

/** Those that were there, and since when they are not. */
const left = new Map();
let present = new Map();

function row() {
  const cells = LABELS.map((label, i) =>
    make(i === 0 ? "th" : "td", {
      class: CLASSES[i] || null,
      role: i === 0 ? "rowheader" : "cell",
      scope: i === 0 ? "row" : null,
      "data-label": label,
    }),
  );
  cells[1].append(make("span", { class: "state" }));
  const meter = make("span", { class: "meter", "aria-hidden": "true" });
  meter.append(make("i"));
  cells[3].append(make("span"), meter);
  cells[7].append(make("span", { class: "text" }), make("time"));
  return make("tr", { role: "row" }, ...cells);
}

function failures(outcomes) {
  const { rejected, failed, timed_out, unreachable } = outcomes;
  return rejected + failed + timed_out + unreachable;
}

function fill(element, item) {
  const { consumer, perSecond, state } = item;
  const cells = element.children;
  setText(cells[0], consumer.consumer_id);
  const badge = cells[1].firstChild;
  setText(badge, state);
  setAttribute(badge, "data-state", state);
  setAttribute(element, "class", state === "left" ? "gone" : null);
  setText(cells[2], perSecond === null ? "–" : rate(perSecond));
  setText(cells[3].firstChild, `${count(consumer.in_flight)} / ${count(consumer.limit)}`);
  const share = Math.min(1, consumer.in_flight / Math.max(1, consumer.limit));
  cells[3].lastChild.firstChild.style.transform = `scaleX(${share.toFixed(2)})`;
  setText(cells[4], millis(consumer.p50_ms));
  setText(cells[5], millis(consumer.p99_ms));
  const { outcomes } = consumer;
  setText(cells[6], count(failures(outcomes)));
  setAttribute(
    cells[6],
    "title",
    `rejected ${outcomes.rejected}, failed ${outcomes.failed}, timed out ${outcomes.timed_out}, ` +
      `unreachable ${outcomes.unreachable}; busy ${outcomes.busy}, put off ${outcomes.later}, left out ${plural(consumer.ejections, "time")}`,
  );
  const error = consumer.last_error;
  const [text, at] = cells[7].children;
  setText(text, error ? error.text : "none");
  setAttribute(text, "title", error ? error.text : null);
  setAttribute(cells[7], "data-none", error ? null : "true");
  setText(at, error ? time(error.at) : "");
  setAttribute(at, "datetime", error ? error.at : null);
  setText(cells[8], time(consumer.since));
}

export function show(status, rates) {
  const now = Date.now();
  const current = new Map(status.consumers.map((consumer) => [consumer.consumer_id, consumer]));
  for (const [id, consumer] of present) {
    if (!current.has(id) && left.size < MOST_LEFT) left.set(id, { consumer, at: now });
  }
  for (const [id, { at }] of left) {
    if (current.has(id) || now - at > LEFT_MS) left.delete(id);
  }
  present = current;
  const items = status.consumers.map((consumer) => ({
    consumer,
    state: consumer.state,
    perSecond: rates[consumer.consumer_id] ?? null,
  }));
  for (const { consumer } of left.values()) {
    items.push({ consumer: { ...consumer, in_flight: 0 }, state: "left", perSecond: null });
  }
  items.sort((a, b) => a.consumer.consumer_id.localeCompare(b.consumer.consumer_id, "en", { numeric: true }));
  keyed(body, items, (item) => item.consumer.consumer_id, row, fill);
  setText(byId("consumer-count"), plural(status.consumers.length, "consumer"));
  byId("no-consumers").hidden = items.length > 0;
  byId("consumers").hidden = items.length === 0;
}
