// A worker that asks the group for messages: leases them, extends the leases while it works, settles them.
import { setTimeout as sleep } from "node:timers/promises";

import { insist, pause, post, rest } from "./calls.js";
import { Places, outcomeOf } from "./outcome.js";

/** How much work is leased ahead, in milliseconds: more would keep it from others. */
const AHEAD = 500;

/** How much is settled in one request, about: the group takes 16 MiB, and an entry of 1 MiB. */
const SETTLE_BYTES = 4 << 20;

export async function pull(handler, options) {
  const { url, name, concurrency, maxMessages, waitSeconds, leaseSeconds, log, signal } = options;
  const places = new Places(concurrency);
  const held = new Set(); // Leases that are not settled.
  const working = new Set();
  let took = AHEAD; // For a message, about.
  const outcomes = [];
  let settling; // While outcomes are on their way.
  let wakeUp = () => {};

  /** How many messages to lease now: none while there is enough to do. */
  function wanted() {
    const ahead = Math.max(concurrency, Math.floor((concurrency * AHEAD) / Math.max(took, 0.001)));
    const most = Math.min(maxMessages, ahead);
    return held.size <= most / 2 || held.size < Math.min(concurrency, most) ? most - held.size : 0;
  }

  async function lease() {
    const count = wanted();
    if (count === 0) return new Promise((resolve) => (wakeUp = resolve));
    const asked = {
      consumer_id: name,
      max_messages: count,
      wait_seconds: waitSeconds,
      lease_seconds: leaseSeconds,
    };
    // Ends when the worker is to stop: the group hands out nothing to who is gone.
    const timeout = (waitSeconds + 10) * 1000;
    const answer = await post(url, "/messages/lease", asked, { timeout, signal });
    if (answer.status === 200) {
      for (const leased of answer.content.messages) {
        held.add(leased.lease);
        const task = work(leased.lease, leased.message).finally(() => working.delete(task));
        working.add(task);
      }
    } else if (!signal.aborted) {
      log.warn(`cannot lease from ${url}, trying again:`, answer.content);
      await rest(pause(answer, 2), signal);
    }
  }

  function work(id, message) {
    return places.with(async () => {
      if (!held.has(id)) return; // The lease has ended: another has the message.
      let outcome = { status: 503, error: "the worker is ending" }; // The message goes back.
      if (!signal.aborted) {
        const began = performance.now();
        outcome = await outcomeOf(handler, message, log);
        took += (performance.now() - began - took) / 8;
      }
      outcomes.push({ lease: id, ...outcome });
      settling ??= settle().finally(() => (settling = undefined));
    });
  }

  async function settle() {
    while (outcomes.length > 0) {
      const batch = [];
      for (let size = 0; outcomes.length > 0 && size < SETTLE_BYTES; ) {
        batch.push(outcomes.shift());
        size += JSON.stringify(batch.at(-1)).length;
      }
      try {
        await say(batch);
      } catch (error) {
        log.warn(`not settled, so worked on again: ${error.message}`);
      }
      for (const outcome of batch) held.delete(outcome.lease);
      wakeUp();
    }
  }

  /** Says it again while Redis does not answer, and the leases last. */
  async function say(batch) {
    const deadline = Date.now() + leaseSeconds * 1000;
    for (let rest = batch; rest.length > 0; ) {
      const answer = await insist(url, "/messages/settle", { outcomes: rest }, deadline - Date.now());
      const statusOf = (place) => answer.results[place].status;
      const failed = answer.results.filter(({ status }) => status !== 200 && status !== 503);
      if (failed.length > 0) log.warn("not settled:", failed);
      rest = rest.filter((_, place) => statusOf(place) === 503);
      if (rest.length > 0 && Date.now() > deadline) {
        throw new Error(`Redis does not answer for ${rest.length} messages`);
      }
      if (rest.length > 0) await sleep(1000);
    }
  }

  async function extend() {
    const leases = [...held];
    if (leases.length === 0) return;
    const { status, content } = await post(url, "/messages/extend", { leases, lease_seconds: leaseSeconds });
    if (status !== 200) return;
    leases.forEach((id, number) => content.results[number].status === 409 && held.delete(id));
    wakeUp();
  }

  const extending = setInterval(extend, (leaseSeconds * 1000) / 3);
  try {
    while (!signal.aborted) await lease();
    await Promise.all(working);
    await settling;
  } finally {
    clearInterval(extending);
  }
}
