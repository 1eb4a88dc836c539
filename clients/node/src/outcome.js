// What the end of a handler says of its message.

/** Thrown by a handler: the message is at fault. Nobody else gets it, it becomes a dead letter. */
export class Reject extends Error {}

/** Thrown by a handler: this message again after so many seconds, here or elsewhere. */
export class RetryLater extends Error {
  constructor(seconds, why = "retry later") {
    super(why);
    this.seconds = seconds;
  }
}

/** The result of a message, as the group wants it. Whatever else a handler throws is its own failure. */
export async function outcomeOf(handler, message, log) {
  try {
    const entry = await handler(message);
    JSON.stringify(entry); // What is no JSON fails here, for this message alone.
    return { status: 200, entry: entry ?? undefined };
  } catch (error) {
    if (error instanceof RetryLater) {
      return { status: 500, error: error.message, retry_after: error.seconds };
    }
    if (error instanceof Reject) {
      log.warn(`rejected ${message.message_id}: ${error.message}`);
      return { status: 422, error: error.message };
    }
    log.error(`failed ${message.message_id}:`, error);
    return { status: 500, error: String(error) };
  }
}

/** So many at once; the others wait for their turn. */
export class Places {
  #free;
  #waiting = [];

  constructor(count) {
    this.#free = count;
  }

  async with(action) {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise((resolve) => this.#waiting.push(resolve));
    try {
      return await action();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}
