// The page: listens to /events, and shows what comes. No framework, no build step.

import * as chart from "./chart.js";
import * as consumers from "./consumers.js";
import * as figures from "./figures.js";
import * as letters from "./letters.js";
import { byId, count, keyed, make, millis, plural, rate, setAttribute, setText, span, time } from "./dom.js";

/** After so long without an event the figures are stale. */
const STALE_MS = 3000;
/** How soon to connect again when the browser does not do so itself. */
const AGAIN_MS = 2000;
/** An outage of Redis that is shorter is a hiccup, and no banner. */
const HICCUP_MS = 1000;

let source = null;
let heard = performance.now();
let heardAt = null;
/** What the group answers in place of events, when it refuses them. */
let refusal = null;
let latest = null;

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
    refusal = null;
    latest = JSON.parse(event.data);
    show(latest);
    look();
  });
  source.addEventListener("error", () => {
    // The browser connects again by itself, unless the answer was an error.
    if (source.readyState === EventSource.CLOSED) {
      learnRefusal();
      setTimeout(listen, AGAIN_MS);
    }
    look();
  });
}

/** Asks why there are no events: an EventSource does not tell what it was answered. */
async function learnRefusal() {
  const ended = new AbortController();
  try {
    const answer = await fetch("events", { signal: ended.signal });
    refusal = answer.ok ? null : (await answer.json()).error;
  } catch {
    refusal = null;
  }
  ended.abort();
}

/** Whether what is shown is of now, and what the banner says. */
function look() {
  const isStale = performance.now() - heard > STALE_MS;
  const pill = byId("live");
  const state = isStale ? "stale" : heardAt ? "live" : "waiting";
  setText(pill, { stale: "stale", live: "live", waiting: "connecting" }[state]);
  setAttribute(pill, "data-state", state);
  document.body.classList.toggle("stale", isStale);
  if (isStale) figures.fade();
  const alarm = isStale ? noAnswer() : latest && outage(latest);
  const banner = byId("banner");
  banner.hidden = !alarm;
  if (alarm) setText(banner, alarm.text);
  const news = alarm ? alarm.title : latest?.point ? `${rate(latest.point[2])}/s` : null;
  document.title = news ? `${news} – consumer group` : "Consumer group";
}

function noAnswer() {
  if (refusal) return { title: "No figures", text: `The group does not give its figures: ${refusal}` };
  if (!heardAt) return { title: "No answer", text: "The group does not answer. Trying again …" };
  const since = `The group does not answer since ${time(heardAt)}.`;
  return { title: "No answer", text: `${since} What is shown is of then. Trying again …` };
}

function outage({ at_ms: now, outage: found, redis }) {
  if (!found || now - found.since_ms < HICCUP_MS) return null;
  const title = redis.trouble === null ? "Redis does not say what is in the queue" : "Redis is unreachable";
  return { title, text: `${title} since ${time(found.since_ms)}: ${found.reason}` };
}

function show(snapshot) {
  const { status } = snapshot;
  chart.show(snapshot.point, snapshot.at_ms);
  figures.show(snapshot);
  consumers.show(status, snapshot.consumer_rates);
  account(snapshot);
  links(snapshot);
  readers(snapshot.readers);
  letters.note(snapshot.dead_letters);
  const [up, unit] = span(status.uptime_seconds);
  setText(byId("uptime"), `up ${up} ${unit}`);
  setText(byId("version"), `v${status.version}`);
}

const PARTS = [
  ["processed", "Processed"],
  ["duplicate", "Duplicate"],
  ["dead_lettered", "Dead letters"],
  ["in_flight", "In flight"],
  ["queued", "Queued"],
  ["buffered", "Buffered"],
];

function account({ status, outage: found, account_at_ms: at }) {
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
    (row, [name]) => setText(row.lastChild, at === null ? "–" : count(status[name])),
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
  const state = sum === status.received ? "adds up" : "does not add up";
  setText(byId("account-state"), at === null ? "not known" : found ? `as of ${time(at)}` : state);
  for (const id of ["account", "account-bar"]) setAttribute(byId(id), "data-old", found ? "true" : null);
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
