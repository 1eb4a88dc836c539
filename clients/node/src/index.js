// Publish to a consumer group on Redis Pub/Sub, and work for it. The types say what is what.
import { hostname } from "node:os";

import { insist } from "./calls.js";
import { pull } from "./pull.js";
import { push } from "./push.js";

export { GroupError } from "./calls.js";
export { Reject, RetryLater } from "./outcome.js";

const DEFAULT_URL = "http://127.0.0.1:5000";

export class Group {
  constructor(url = DEFAULT_URL) {
    this.url = url.replace(/\/$/, "");
  }

  async publish(messages, { patienceSeconds = 60 } = {}) {
    const lines = [messages].flat().map((message) => JSON.stringify(message));
    return insist(this.url, "/messages", lines.join("\n"), patienceSeconds * 1000);
  }

  async work(handler, options = {}) {
    const { name = `${hostname()}-${process.pid}`, concurrency = 8, maxMessages = 100 } = options;
    const { waitSeconds = 20, leaseSeconds = 30, log = console } = options;
    const settings = { url: this.url, name, concurrency, maxMessages, waitSeconds, leaseSeconds, log };
    await untilStopped(options.signal, (signal) => pull(handler, { ...settings, signal }));
  }
}

export async function serve(handler, options = {}) {
  const { port = 5001, host = "127.0.0.1", advertisedHost = host, group = DEFAULT_URL } = options;
  const { concurrency = 8, maxBatch = 50, log = console } = options;
  const consumerId = `${advertisedHost}:${port}`;
  const settings = { group: group.replace(/\/$/, ""), host, port, consumerId, concurrency, maxBatch, log };
  await untilStopped(options.signal, (signal) => push(handler, { ...settings, signal }));
}

/** Runs it until the signal that is given, or else until SIGTERM or SIGINT. */
async function untilStopped(given, run) {
  if (given) return run(given);
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  const names = ["SIGINT", "SIGTERM"];
  names.forEach((name) => process.on(name, stop));
  try {
    await run(stopping.signal);
  } finally {
    names.forEach((name) => process.off(name, stop));
  }
}
