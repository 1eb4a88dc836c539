// Publishes messages to a group, which acknowledges them: publish.mjs [URL] [COUNT].
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const [url = "http://127.0.0.1:5000", count = "10"] = process.argv.slice(2);
const messages = Array.from({ length: Number(count) }, (_, number) => ({ message_id: randomUUID(), number }));
const body = messages.map((message) => JSON.stringify(message)).join("\n");
const request = { method: "POST", headers: { "Content-Type": "application/x-ndjson" }, body };

// Until the group says that it has them. Sent twice they are duplicates, so nothing is done twice.
for (;;) {
  const said = await fetch(`${url}/messages`, { ...request, signal: AbortSignal.timeout(10_000) }).catch((error) => error);
  if (said.ok) {
    console.log(`${(await said.json()).created} of ${count} messages were taken`);
    break;
  }
  if (said.status < 500) throw new Error(`${said.status}: ${await said.text()}`);
  console.log(`${said.status ?? said} - trying again`);
  await sleep(1_000);
}
