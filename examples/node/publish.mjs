// Publishes messages to a group, which acknowledges them: publish.mjs [URL] [COUNT].
//
// Environment, with the default:
//   GROUP=http://127.0.0.1:5000  URL of the group, when none is given
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const GROUP = process.env.GROUP || "http://127.0.0.1:5000";
const [url = GROUP, count = "10"] = process.argv.slice(2);

/** Posts lines once; the number that is new to the group, or null when it has to be tried again. */
async function post(body) {
  let response;
  try {
    response = await fetch(`${url}/messages`, {
      method: "POST",
      headers: { "Content-Type": "application/x-ndjson" },
      body,
      signal: AbortSignal.timeout(10_000),
    });
  } catch (error) {
    console.log(`${error}, trying again`);
    return null;
  }
  if (response.ok) return (await response.json()).created;
  if (response.status < 500) throw new Error(`${response.status}: ${await response.text()}`);
  console.log(`${response.status}, trying again`);
  return null;
}

const messages = Array.from({ length: Number(count) }, (_, number) => ({ message_id: randomUUID(), number }));
const body = messages.map((message) => JSON.stringify(message)).join("\n");

// Until the group says that it has them. Sent twice they are duplicates, so nothing is done twice.
let created = await post(body);
while (created === null) {
  await sleep(1_000);
  created = await post(body);
}
console.log(`${created} of ${count} messages were taken`);
