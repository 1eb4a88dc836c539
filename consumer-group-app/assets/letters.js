// The dead letters, and replaying them.

import { byId, count, keyed, make, plural, setText, time } from "./dom.js";

const PAGE = 20;
/** The most that are shown; `publisher deadLetters list` lists all. */
const MOST = 100;
/** How often they are fetched at the most. */
const EVERY_MS = 2000;

const list = byId("letters");
const result = byId("letter-result");
let letters = [];
let wanted = PAGE;
let shown = "";
let fetching = false;
let fetched = 0;
let total = 0;
let mayReplay = false;

export function allow(may) {
  mayReplay = may;
  tools();
}

/** Hears with every snapshot how many there are, and fetches them when that, or the newest, changed. */
export function note(latest) {
  if (!latest) return;
  total = latest.count;
  setText(byId("letter-count"), total === 0 ? "" : count(total));
  const state = `${latest.count} ${latest.newest}`;
  const is_time = Date.now() - fetched > EVERY_MS;
  if (state !== shown && is_time && !fetching) load(state);
}

async function load(state) {
  fetching = true;
  fetched = Date.now();
  try {
    const answer = await fetch(`deadLetters?limit=${wanted}`, { signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(`the group answered ${answer.status}`);
    letters = (await answer.json()).letters;
    if (state) shown = state;
    draw();
  } catch (cause) {
    say(`The dead letters cannot be read: ${cause.message}`, true);
  } finally {
    fetching = false;
  }
}

function draw() {
  keyed(list, letters, (letter) => letter.id, letterElement, (element) => {
    element.querySelector(".actions").hidden = !mayReplay;
  });
  byId("no-letters").hidden = letters.length > 0;
  const more = total > letters.length;
  byId("older").hidden = !more || wanted >= MOST;
  const note = more && wanted >= MOST ? `The newest ${MOST} are shown; \`publisher deadLetters list\` lists all.` : "";
  setText(byId("older-note"), note);
  tools();
}

function letterElement(letter) {
  const head = make(
    "summary",
    {},
    make("time", { datetime: letter.failed_at }, time(letter.failed_at)),
    make("span", { class: "reason" }, letter.reason),
    make("span", { class: "id" }, letter.message_id ?? "no message id"),
    make("span", { class: "text" }, letter.last_error),
  );
  const facts = make("dl", {});
  const size = plural(Number(letter.payload_bytes) || 0, "byte");
  const rows = [
    ["Entry", letter.id],
    ["Message id", letter.message_id ?? "none"],
    ["Attempts", letter.attempts],
    ["Last error", letter.last_error || "none"],
    ["Payload", letter.is_cut ? `${size}, of which the start is shown` : size],
  ];
  for (const [name, value] of rows) facts.append(make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  const again = make("button", { type: "button", class: "replay" }, "Replay this message");
  again.addEventListener("click", () => replay({ ids: [letter.id] }, again));
  return make(
    "details",
    { class: "letter" },
    head,
    make(
      "div",
      { class: "inside" },
      facts,
      make("pre", { tabindex: "0", "aria-label": "Payload" }, letter.payload),
      make("div", { class: "actions" }, again),
    ),
  );
}

/** The reasons among the letters that are shown. */
function tools() {
  const select = byId("reason");
  const reasons = [...new Set(letters.map((letter) => letter.reason))].sort();
  const known = [...select.options].map((option) => option.value);
  if (reasons.join() !== known.join()) {
    const chosen = select.value;
    select.replaceChildren(...reasons.map((reason) => make("option", { value: reason }, reason)));
    if (reasons.includes(chosen)) select.value = chosen;
  }
  byId("letter-tools").hidden = !mayReplay || reasons.length === 0;
}

function say(text, is_error = false) {
  setText(result, text);
  result.classList.toggle("bad", is_error);
}

async function replay(wish, button) {
  button.disabled = true;
  say("Replaying …");
  try {
    const answer = await fetch("deadLetters/replay", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(wish),
      signal: AbortSignal.timeout(60000),
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error ?? `the group answered ${answer.status}`);
    say(told(body), body.sent === 0);
    shown = "";
    await load("");
  } catch (cause) {
    say(`Not replayed: ${cause.message}`, true);
  } finally {
    button.disabled = false;
  }
}

function told(counts) {
  const parts = [
    [counts.sent, "sent on the way again"],
    [counts.processed, "left, because processed already"],
    [counts.malformed, "left, because no whole message is kept"],
    [counts.repeated, "left, because another letter has the same message"],
    [counts.gone, "no longer there"],
  ];
  const words = parts.filter(([number]) => number > 0).map(([number, text]) => `${count(number)} ${text}`);
  const rest = counts.is_complete ? "" : " The time was up before all were looked at; replay again for the rest.";
  return `${words.join(", ") || "There was nothing to replay"}.${rest}`;
}

export function start() {
  const dialog = byId("confirm");
  const all = byId("replay-reason");
  all.addEventListener("click", () => {
    const reason = byId("reason").value;
    setText(
      byId("confirm-text"),
      `Every message given up as “${reason}” is sent on its way again, also those that are not shown. ` +
        "Those that were processed meanwhile are left out.",
    );
    dialog.returnValue = "";
    dialog.showModal();
  });
  byId("confirm-no").addEventListener("click", () => dialog.close());
  byId("confirm-yes").addEventListener("click", () => {
    dialog.close();
    replay({ reason: byId("reason").value }, all);
  });
  byId("older").addEventListener("click", () => {
    wanted = Math.min(MOST, wanted + PAGE);
    load(shown);
  });
}
