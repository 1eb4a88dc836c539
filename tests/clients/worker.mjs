// A worker by the client: MODE is push or pull.
import { setTimeout as sleep } from "node:timers/promises";

import { Group, Reject, RetryLater, serve } from "../../clients/node/src/index.js";

const { MODE, PORT, GROUP } = process.env;
const seen = new Set();

async function handle(message) {
  await sleep("is_slow" in message ? 4_000 : 10);
  const { message_id: id } = message;
  if ("is_bad" in message) throw new Reject("it is bad");
  if ("is_early" in message && !seen.has(id)) {
    seen.add(id);
    throw new RetryLater(0.3, "too early");
  }
  const shouted = "is_broken" in message ? message.text.toUpperCase() : id.toUpperCase();
  console.log("processed", id);
  return { shouted };
}

if (MODE === "push") await serve(handle, { port: Number(PORT), group: GROUP });
else await new Group(GROUP).work(handle, { name: `pull-${PORT}`, leaseSeconds: 3 });
console.log("ended");
