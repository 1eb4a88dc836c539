/** A message as it was published. */
export interface Message {
  message_id: string;
  [property: string]: unknown;
}

/** The fields of the message's entry: texts as they are, other values as JSON. */
export type Entry = Record<string, unknown>;

/** Works on a message. Whatever it throws but `Reject` and `RetryLater` sends it to another worker. */
export type Handler = (message: Message) => Entry | void | Promise<Entry | void>;

/** Thrown by a handler: the message is at fault. Nobody else gets it, it becomes a dead letter. */
export class Reject extends Error {}

/** Thrown by a handler: this message again after so many seconds, here or elsewhere. */
export class RetryLater extends Error {
  constructor(seconds: number, why?: string);
  readonly seconds: number;
}

/** The group refused what it was asked, or did not answer in time. */
export class GroupError extends Error {}

export interface WorkerOptions {
  /** How many messages it works on at once: 8. */
  concurrency?: number;
  /** Ends the worker. Without it SIGTERM and SIGINT do. */
  signal?: AbortSignal;
  /** Where it says what failed: `console`. */
  log?: Pick<Console, "info" | "warn" | "error">;
}

export interface WorkOptions extends WorkerOptions {
  /** What the group calls the worker: the host and the process. */
  name?: string;
  /** The most messages it has at once: 100. About half a second of work is leased ahead. */
  maxMessages?: number;
  /** How long the group waits for messages before it answers that there are none: 20. */
  waitSeconds?: number;
  /** How long a worker that dies keeps its messages from others: 30. */
  leaseSeconds?: number;
}

export interface ServeOptions extends WorkerOptions {
  /** 5001. */
  port?: number;
  /** The address to listen on: 127.0.0.1. */
  host?: string;
  /** The host at which the group reaches the worker: `host`. */
  advertisedHost?: string;
  /** The URL of the group: http://127.0.0.1:5000. */
  group?: string;
  /** The most messages in one request: 50. */
  maxBatch?: number;
}

/** A group, by its URL: http://127.0.0.1:5000. */
export class Group {
  constructor(url?: string);
  /**
   * Publishes a message or several, up to 16 MiB; ends when they are in the queue. It tries again for
   * `patienceSeconds`, 60; the ids see to it that nothing is done twice.
   */
  publish(
    messages: Message | Message[],
    options?: { patienceSeconds?: number },
  ): Promise<{ created: number; duplicate: number }>;
  /** Works on messages that it asks the group for; ends when it is told to and all it had is finished. */
  work(handler: Handler, options?: WorkOptions): Promise<void>;
}

/** Works on messages that the group sends; ends when it is told to and all it had is finished. */
export function serve(handler: Handler, options?: ServeOptions): Promise<void>;
