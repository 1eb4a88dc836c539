// A worker that the group sends messages to.
import { once } from "node:events";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";

import { post, rest } from "./calls.js";
import { Places, outcomeOf } from "./outcome.js";

export async function push(handler, { group, host, port, consumerId, concurrency, maxBatch, log, signal }) {
  const places = new Places(concurrency);

  async function processLine(line) {
    let message;
    try {
      message = JSON.parse(line);
      if (typeof message.message_id !== "string") throw new Error("it has no message_id");
    } catch (error) {
      return { status: 400, error: `this is no message: ${error.message}` };
    }
    return places.with(() => outcomeOf(handler, message, log));
  }

  async function answer(request) {
    switch (`${request.method} ${request.url}`) {
      case "GET /health":
        return { status: 200, concurrency, max_batch: maxBatch };
      case "POST /processMessage":
        return processLine(await text(request));
      case "POST /processMessages": {
        const lines = (await text(request)).replace(/\n$/, "").split("\n");
        return { status: 200, results: await Promise.all(lines.map(processLine)) };
      }
      default:
        return { status: 404, error: "there is no such path" };
    }
  }

  // Idle connections are kept for longer than the group keeps them.
  const server = createServer({ keepAliveTimeout: 20_000 }, async (request, response) => {
    try {
      const began = performance.now();
      const content = await answer(request);
      response.setHeader("Content-Type", "application/json");
      response.setHeader("Server-Timing", `work;dur=${(performance.now() - began).toFixed(3)}`);
      if (content.retry_after !== undefined) response.setHeader("Retry-After", content.retry_after);
      response.writeHead(content.status).end(JSON.stringify(content));
    } catch {
      response.destroy(); // The request broke off.
    }
  });
  server.listen(port, host, 512);
  await once(server, "listening");
  const call = (path) => post(group, path, { consumer_id: consumerId });
  while (!signal.aborted) {
    let wait = 10_000;
    if ((await call("/checkMembership")).status !== 200) {
      const { status, content } = await call("/register");
      if (status === 200) log.info(`registered ${consumerId} with ${group}`);
      else {
        log.warn(`cannot register with ${group}, trying again:`, content);
        wait = 1_000;
      }
    }
    await rest(wait, signal);
  }
  await call("/unregister");
  server.close(); // Finishes what runs.
  await once(server, "close");
}
