import { fullJitterMs } from "../../lib/backoff.js";
import { systemClock } from "../../lib/clock.js";
import { isEphemeral } from "../../lib/ephemeral.js";
import { pause } from "../../runtime/deadline.js";
import type { Listening } from "../../runtime/wait-loop.js";
import type { Client } from "./client.js";

const RECONNECT = { maxAttempts: 1, baseDelayMs: 500, maxDelayMs: 15_000 };
/** A stream that stood so long was sound: what ends it later begins a new count. */
const SOUND_MS = 15_000;

/** A message about a record. */
export interface News {
  /** What the record's `wait` says now, as text: when that is ready, and short. */
  readonly text: string | undefined;
}

/** Called when the record may have changed. Without news: as a precaution. */
export type Notify = (news?: News) => void;

/** Which record's messages are for whom. */
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
 * One stream a channel, shared by those who wait, closed with the last of them. A message that is lost costs time, never
 * truth.
 */
export class Subscriptions {
  readonly #client: Client;
  readonly #channels = new Map<string, Channel>();
  /** Edge platforms end a request's streams with it, and let no other request touch them: there each wait has its own. */
  readonly #mayShare = !isEphemeral();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Notifies of each message about the record, and once the stream is open: earlier messages were not received. */
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
        // Those who wait go on by looking from time to time.
      }
      const wasLive = channel.isLive;
      channel.isLive = false;
      // A wait that relied on the stream looks now, and more often from here on.
      if (wasLive) for (const { notify } of [...channel.listeners]) notify();
      if (Date.now() - sinceMs >= SOUND_MS) failures = 1;
      const limitMs = fullJitterMs(RECONNECT, failures, Math.random());
      try {
        // The process lives as long as a waiter's own timer keeps it alive.
        await pause({ limitMs, signal, clock: systemClock, background: true });
      } catch {
        // Aborted; or the platform has no timer left, and the waits look from time to time.
        return;
      }
    }
  }
}

/** `subscribe,<channel>,1` once, then `message,<channel>,<text>`: see `newsOf` in `lua/`. A channel's name may hold commas. */
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

/** Anybody who has the token may publish: what is no message of ours is about nothing. */
function readMessage(text: string): readonly (string | undefined)[] {
  try {
    const message: unknown = JSON.parse(text);
    return Array.isArray(message) && message.every((part) => typeof part === "string") ? message : [];
  } catch {
    return [];
  }
}
