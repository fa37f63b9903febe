import { fullJitterMs } from "../../lib/backoff.js";
import { systemClock } from "../../lib/clock.js";
import { isEphemeral } from "../../lib/ephemeral.js";
import { pause } from "../../runtime/deadline.js";
import type { Listening } from "../../runtime/wait-source.js";
import type { Client } from "./client.js";

const RECONNECT = { maxAttempts: 1, baseDelayMs: 500, maxDelayMs: 15_000 };
/** A stream that was open for this long was healthy. A later failure starts the reconnect backoff anew. */
const SOUND_MS = 15_000;

/** A message about a record. */
export interface News {
  /** The output of the record's `wait` as text, when it is ready and short. */
  readonly text: string | undefined;
}

/** Called when the record may have changed. Without `news` the waiter only polls, as a precaution. */
export type Notify = (news?: News) => void;

/** A waiter and the record that it waits for. */
interface Listener {
  readonly record: string;
  readonly notify: Notify;
}

interface Channel {
  readonly name: string;
  readonly listeners: Set<Listener>;
  readonly controller: AbortController;
  isLive: boolean;
}

/**
 * One stream for each channel, shared by its waiters, closed with the last of them. A lost message only delays a waiter,
 * because waiters also poll.
 */
export class Subscriptions {
  readonly #client: Client;
  readonly #channels = new Map<string, Channel>();
  /**
   * Edge platforms end a request's streams with the request, and forbid other requests to use them. There each wait has its own.
   */
  readonly #mayShare = !isEphemeral();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Calls `notify` for each message about the record, and once when the stream opens: earlier messages were not received. */
  join(name: string, record: string, notify: Notify): Listening {
    const channel = this.#channels.get(name) ?? this.#open(name);
    const { listeners, controller } = channel;
    const listener = { record, notify };
    listeners.add(listener);
    if (channel.isLive) notify();
    const leave = (): void => {
      if (!listeners.delete(listener) || listeners.size > 0) return;
      if (this.#mayShare) this.#channels.delete(name);
      controller.abort();
    };
    return { isLive: () => channel.isLive, leave };
  }

  #open(name: string): Channel {
    const channel: Channel = { name, listeners: new Set(), controller: new AbortController(), isLive: false };
    if (this.#mayShare) this.#channels.set(name, channel);
    void this.#keepOpen(channel);
    return channel;
  }

  async #keepOpen(channel: Channel): Promise<void> {
    const { signal } = channel.controller;
    for (let failures = 1; ; failures++) {
      const sinceMs = Date.now();
      try {
        await this.#client.subscribe(channel.name, signal, (text) => hear(channel, text));
      } catch {
        // The waiters continue by polling.
      }
      const wasLive = channel.isLive;
      channel.isLive = false;
      // Waits that relied on the stream poll now, and more often until it is open again.
      if (wasLive) for (const { notify } of [...channel.listeners]) notify();
      if (Date.now() - sinceMs >= SOUND_MS) failures = 1;
      const limitMs = fullJitterMs(RECONNECT, failures, Math.random());
      try {
        // An unref'd timer: each waiter's own timer keeps the process alive.
        await pause({ limitMs, signal, clock: systemClock, background: true });
      } catch {
        // Aborted, or the platform has no timers left. The waits continue by polling.
        return;
      }
    }
  }
}

/**
 * Reads an event: `subscribe,<channel>,1` once, then `message,<channel>,<text>` (see `newsOf` in `lua/`). A channel's name may
 * hold commas.
 */
function hear(channel: Channel, event: string): void {
  if (event.startsWith(`subscribe,${channel.name},`)) {
    channel.isLive = true;
    for (const { notify } of [...channel.listeners]) notify();
    return;
  }
  const head = `message,${channel.name},`;
  if (!event.startsWith(head)) return;
  const [record, text] = readMessage(event.slice(head.length));
  for (const listener of [...channel.listeners]) if (listener.record === record) listener.notify({ text });
}

/** Every holder of the token can publish: a text that is not one of our messages is ignored. */
function readMessage(text: string): readonly (string | undefined)[] {
  try {
    const message: unknown = JSON.parse(text);
    return Array.isArray(message) && message.every((part) => typeof part === "string") ? message : [];
  } catch {
    return [];
  }
}
