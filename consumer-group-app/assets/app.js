// The page: listens to /events, and shows what comes. No framework, no build step.

import * as chart from "./chart.js";
import * as consumers from "./consumers.js";
import * as letters from "./letters.js";
import { byId, compact, count, keyed, make, millis, plural, rate, setAttribute, setText, span, time } from "./dom.js";

/** After so long without an event the figures are stale. */
const STALE_MS = 3000;
/** How soon to connect again when the browser does not do so itself. */
const AGAIN_MS = 2000;

let source = null;
let heard = performance.now();
let heardAt = null;
let isStale = false;

function listen() {
  source = new EventSource("events");
  source.addEventListener("history", (event) => {
    const history = JSON.parse(event.data);
    letters.allow(history.may_replay);
    chart.begin(history.points);
  });
  source.addEventListener("snapshot", (event) => {
    heard = performance.now();
    heardAt = new Date();
    show(JSON.parse(event.data));
    look();
  });
  source.addEventListener("error", () => {
    // The browser connects again by itself, unless the answer was an error.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
    look();
  });
}

/** Whether what is shown is of now. */
function look() {
  const stale = performance.now() - heard > STALE_MS;
  const pill = byId("live");
  const state = stale ? "stale" : heardAt ? "live" : "waiting";
  setText(pill, { stale: "stale", live: "live", waiting: "connecting" }[state]);
  setAttribute(pill, "data-state", state);
  if (stale === isStale) return;
  isStale = stale;
  document.body.classList.toggle("stale", stale);
  const banner = byId("banner");
  banner.hidden = !stale;
  if (stale) {
    const since = heardAt ? `Stale since ${time(heardAt)}` : "Nothing was heard of the group yet";
    setText(banner, `${since} – reconnecting`);
    document.title = "Stale – consumer group";
  }
}

function show(snapshot) {
  const { status, point } = snapshot;
  if (point) {
    chart.add(point);
    const [, received, processed, failed, duplicate] = point;
    setText(byId("f-processed"), rate(processed));
    setText(byId("f-failed"), rate(failed));
    setText(byId("f-duplicate"), rate(duplicate));
    setText(byId("n-processed"), `${rate(received)}/s received`);
    setAttribute(byId("f-failed").closest(".figure"), "data-alarm", failed > 0 ? "true" : null);
    document.title = `${rate(processed)}/s – consumer group`;
  }
  const waiting = status.queued + status.buffered;
  setText(byId("f-queued"), compact(waiting));
  setText(byId("n-queued"), status.buffered > 0 ? `${count(status.buffered)} not in Redis yet` : "");
  setText(byId("f-in-flight"), compact(status.in_flight));
  setText(byId("n-in-flight"), `${plural(status.consumers.length, "consumer")}`);
  setText(byId("n-failed"), `${compact(status.dead_lettered)} in all`);
  setText(byId("n-duplicate"), `${compact(status.duplicate)} in all`);
  oldest(snapshot.oldest_seconds, waiting);
  consumers.show(status, snapshot.consumer_rates);
  account(status, snapshot.is_account_current);
  links(snapshot);
  readers(snapshot.readers);
  letters.note(snapshot.dead_letters);
  const [up, unit] = span(status.uptime_seconds);
  setText(byId("uptime"), `up ${up} ${unit}`);
  setText(byId("version"), `v${status.version}`);
}

function oldest(seconds, waiting) {
  const [number, unit] = seconds === null ? ["–", ""] : seconds === 0 ? ["0", "s"] : span(seconds);
  setText(byId("f-oldest"), number);
  setText(byId("u-oldest"), unit);
  setText(byId("n-oldest"), seconds === null ? "not known" : waiting > 0 ? "" : seconds > 0 ? "in flight" : "nothing waits");
}

const PARTS = [
  ["processed", "Processed"],
  ["duplicate", "Duplicate"],
  ["dead_lettered", "Dead letters"],
  ["in_flight", "In flight"],
  ["queued", "Queued"],
  ["buffered", "Buffered"],
];

function account(status, isCurrent) {
  const sum = PARTS.reduce((total, [name]) => total + status[name], 0);
  const items = [["received", "Received"], ...PARTS];
  keyed(
    byId("account"),
    items,
    ([name]) => name,
    ([name, label]) => {
      const mark = make("i", { class: `mark ${name}`, "aria-hidden": "true" });
      return make("div", { class: name }, make("dt", {}, mark, label), make("dd", {}));
    },
    (row, [name]) => setText(row.lastChild, count(status[name])),
  );
  keyed(
    byId("account-bar"),
    PARTS,
    ([name]) => name,
    ([name]) => make("i", { class: `part ${name}` }),
    (part, [name]) => {
      const share = status.received ? status[name] / status.received : 0;
      part.style.flexGrow = share.toFixed(4);
      part.hidden = status[name] === 0;
    },
  );
  const state = !isCurrent ? "as Redis told last" : sum === status.received ? "adds up" : "does not add up";
  setText(byId("account-state"), state);
}

function links({ status, subscribed_since: since, redis }) {
  const state = byId("sub-state");
  setText(state, status.subscribed ? "subscribed" : "not subscribed");
  setAttribute(state, "data-state", status.subscribed ? "up" : "down");
  setText(byId("sub-note"), since ? `since ${time(since)}` : "what is published now is not heard");
  setText(byId("gaps"), status.subscription_gaps === 0 ? "none" : count(status.subscription_gaps));
  const [lost, unit] = span(status.subscription_gap_seconds);
  setText(byId("gap-note"), status.subscription_gaps === 0 ? "" : `${lost} ${unit} in all`);
  const up = redis.trouble === null;
  setText(byId("redis-state"), up ? "up" : "down");
  setAttribute(byId("redis-state"), "data-state", up ? "up" : "down");
  setText(byId("redis-note"), up ? `${redis.at}, answers in ${millis(redis.ping_ms)}` : redis.trouble);
}

function readers(found) {
  const empty = byId("no-readers");
  const none = found === null || found.length === 0;
  setText(empty, found === null ? "Not known: Redis does not answer." : "Nobody reads the queue yet.");
  empty.hidden = !none;
  setText(byId("reader-count"), none ? "" : plural(found.length, "reader"));
  keyed(
    byId("readers"),
    found ?? [],
    (reader) => reader.name,
    () => make("li", {}, make("span", { class: "id" }), make("span", { class: "sub" })),
    (row, reader) => {
      const [idle, unit] = span(reader.idle_seconds);
      setText(row.firstChild, reader.name);
      const who = reader.is_this ? "this one, " : "";
      const quiet = reader.idle_seconds >= 5 ? `silent for ${idle} ${unit}` : "reading";
      setText(row.lastChild, `${who}${quiet}, ${count(reader.pending)} pending`);
    },
  );
}

setText(byId("where"), location.host);
chart.start();
letters.start();
listen();
setInterval(look, 500);
addEventListener("pagehide", () => source?.close());
// A page that comes back from the browser's cache listens again.
addEventListener("pageshow", (event) => event.persisted && listen());
