// A worker with Node's standard library alone (20 or later). Change `work`; the rest can stay.
//
// Environment, with the defaults:
//   HOST=127.0.0.1               address to listen on; 0.0.0.0 for all
//   PORT=5001                    port to listen on
//   ADVERTISED_HOST=             host at which the group reaches this worker; HOST if it is not given
//   GROUP=http://127.0.0.1:5000  URL of the group
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

const HOST = process.env.HOST || "127.0.0.1";
const PORT = Number(process.env.PORT || 5001);
const ADVERTISED_HOST = process.env.ADVERTISED_HOST || HOST;
const GROUP = process.env.GROUP || "http://127.0.0.1:5000";
const CONSUMER_ID = `${ADVERTISED_HOST}:${PORT}`;

/** The message is at fault: no other worker gets it, it becomes a dead letter. */
class BadMessage extends Error {}

/** The fields of the message's entry. Whatever this throws but BadMessage has another worker try. */
async function work(message) {
  return { shouted: message.message_id.toUpperCase() };
}

function parse(body) {
  let message;
  try {
    message = JSON.parse(body);
  } catch (error) {
    throw new BadMessage(`this is no JSON: ${error.message}`);
  }
  if (typeof message?.message_id !== "string") {
    throw new BadMessage("this is no object with a string message_id");
  }
  return message;
}

/** The answer to one message: its status and content. */
async function processMessage(body) {
  let messageId = "(no id)";
  try {
    const message = parse(body);
    messageId = message.message_id;
    const entry = await work(message);
    console.log("processed", messageId);
    return [200, { entry }]; // The group records it, once for each message.
  } catch (error) {
    if (error instanceof BadMessage) {
      console.log(`rejected ${messageId}: ${error.message}`);
      return [400, { error: error.message }];
    }
    // A bug or a full disk: no fault of the message.
    console.log(`failed ${messageId}: ${error}`);
    return [500, { error: String(error) }];
  }
}

async function answer(request) {
  switch (`${request.method} ${request.url}`) {
    case "GET /health":
      return [200, { message: "Application is running" }];
    case "POST /processMessage":
      return processMessage(await text(request));
    default:
      return [404, { error: "there is no such path" }];
  }
}

// Idle connections are kept for longer than the group keeps them.
const server = createServer({ keepAliveTimeout: 20_000 }, async (request, response) => {
  try {
    const [status, content] = await answer(request);
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(content));
  } catch {
    response.destroy(); // The request broke off.
  }
});

/** Calls the group about this worker; whether it answers 200. */
async function groupAgrees(path) {
  try {
    const response = await fetch(GROUP + path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ consumer_id: CONSUMER_ID }),
      signal: AbortSignal.timeout(5_000),
    });
    return response.ok;
  } catch {
    return false;
  }
}

async function stayRegistered(signal) {
  while (!signal.aborted) {
    let pause = 0;
    if (await groupAgrees("/checkMembership")) {
      pause = 10_000;
    } else if (await groupAgrees("/register")) {
      console.log(`registered ${CONSUMER_ID} with ${GROUP}`);
    } else {
      console.log(`cannot register with ${GROUP}, trying again`);
      pause = 1_000;
    }
    await sleep(pause, null, { signal }).catch(() => {}); // Woken up to end.
  }
}

const ending = new AbortController();
for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => ending.abort());
server.listen(PORT, HOST, async () => {
  await stayRegistered(ending.signal);
  await groupAgrees("/unregister");
  server.close(); // Finishes what runs.
});
