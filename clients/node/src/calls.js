// Calls to the group.
import { setTimeout as sleep } from "node:timers/promises";

/** The group refused what it was asked, or did not answer in time. */
export class GroupError extends Error {}

/** Posts an object as JSON, or a text as lines. Status 0 says that there was no answer. */
export async function post(url, path, content, { timeout = 10_000, signal } = {}) {
  const isLines = typeof content === "string";
  const ending = new AbortController();
  const end = () => ending.abort(signal?.aborted ? "stopped" : `no answer in ${timeout} ms`);
  const timer = setTimeout(end, timeout);
  signal?.addEventListener("abort", end);
  try {
    const response = await fetch(url + path, {
      method: "POST",
      headers: { "Content-Type": isLines ? "application/x-ndjson" : "application/json" },
      body: isLines ? content : JSON.stringify(content),
      signal: ending.signal,
    });
    const retryAfter = Number(response.headers.get("Retry-After")) || undefined;
    return { status: response.status, content: await response.json(), retryAfter };
  } catch (error) {
    return { status: 0, content: String(error.cause ?? error) };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
  }
}

/** Milliseconds to wait before the next attempt: what the group says, or longer each time, up to 5 s. */
export function pause(answer, attempt) {
  const backOff = (0.5 + Math.random() / 2) * Math.min(5, 0.2 * 2 ** attempt);
  return (answer.retryAfter ?? backOff) * 1000;
}

/** Posts until the group has done it, for so many milliseconds; for what may be asked twice. */
export async function insist(url, path, content, patience) {
  const deadline = Date.now() + patience;
  for (let attempt = 0; ; attempt += 1) {
    const answer = await post(url, path, content, { timeout: 30_000 });
    const { status } = answer;
    if (status === 200 || status === 202) return answer.content;
    const isRefused = status >= 300 && status < 500 && status !== 408 && status !== 429;
    const wait = pause(answer, attempt);
    if (isRefused || Date.now() + wait > deadline) {
      throw new GroupError(`${url}${path}: ${status || "no answer"} ${JSON.stringify(answer.content)}`);
    }
    await sleep(wait);
  }
}

/** Waits, but not longer than until the signal. */
export function rest(milliseconds, signal) {
  return sleep(milliseconds, undefined, { signal }).catch(() => {});
}
