// A whole worker, with Node's standard library alone (20 or later): change `work`, the rest can stay.
import { createHash } from "node:crypto";
import { linkSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
const { PORT = "5001", GROUP = "http://127.0.0.1:5000" } = process.env;
const work = async (message) => message.message_id.toUpperCase();

function store(id, result) { // In one step, under a name the id gives; false when it is there.
  const name = `results/${createHash("sha256").update(id).digest("hex")}`, draft = `${name}.${process.pid}`;
  writeFileSync(draft, result);
  try { linkSync(draft, name); } catch (error) { if (error.code === "EEXIST") return false; throw error; }
  finally { rmSync(draft); }
  return true;
}
async function answer(request) { // A status and a body. What is thrown is answered 500: try elsewhere.
  if (request.method === "GET") return [200, { message: "Application is running" }];
  let message, body = "";
  for await (const chunk of request.setEncoding("utf8")) body += chunk;
  try { message = JSON.parse(body); } catch { return [400, { error: "no JSON" }]; }
  if (typeof message?.message_id !== "string") return [400, { error: "no message_id" }];
  const isNew = store(message.message_id, await work(message));
  console.log(isNew ? "processed" : "seen before:", message.message_id);
  return [200, isNew ? {} : { result: "duplicate" }];
}
const tellGroup = (path) => fetch(GROUP + path, { method: "POST", signal: AbortSignal.timeout(5_000),
  headers: { "Content-Type": "application/json" }, body: JSON.stringify({ consumer_id: `127.0.0.1:${PORT}` }),
}).then(({ ok }) => ok, () => false);
const server = createServer({ keepAliveTimeout: 20_000 }, (request, response) => answer(request)
  .catch((error) => [500, { error: String(error) }])
  .then(([status, body]) => response.writeHead(status).end(JSON.stringify(body))));
const end = new AbortController();
for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => end.abort());
mkdirSync("results", { recursive: true });
server.listen(Number(PORT), "127.0.0.1", async () => { // Registers, and again when it is no member any more.
  while (!end.signal.aborted) await sleep(await tellGroup("/checkMembership") || await tellGroup("/register")
    ? 10_000 : 1_000, null, { signal: end.signal }).catch(() => {});
  await tellGroup("/unregister");
  server.close(); // Finishes what runs.
});
