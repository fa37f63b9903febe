import { fullJitterMs } from "../../backoff.js";
import { isEphemeral } from "../../ephemeral.js";
import type { Client } from "./client.js";
import { Bell } from "./limit.js";

const RECONNECT = { maxAttempts: 1, baseDelayMs: 500, maxDelayMs: 15_000 };
/** A stream that stood so long was sound: what ends it later begins a new count. */
const SOUND_MS = 15_000;

/** A place in a subscription. */
export interface Listening {
  /** Whether messages come through, as far as anybody can tell. */
  readonly isLive: () => boolean;
  leave(): void;
}

/** A message about a record. */
export interface News {
  /** What its `wait` says now, as text: when that is ready, and short. */
  readonly output: string | undefined;
}

/** Says "look again". Without news: as a precaution. */
export type Ring = (news?: News) => void;

/** One waiter: which record's messages it hears, and what then happens. */
interface Listener {
  readonly record: string;
  readonly ring: Ring;
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

  /** Rings at each message about the record, and once the stream stands: what came before it was not heard. */
  join(name: string, record: string, ring: Ring): Listening {
    const channel = this.#channels.get(name) ?? this.#open(name);
    const { listeners, controller } = channel;
    const listener = { record, ring };
    listeners.add(listener);
    if (channel.isLive) ring();
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
      // Who sleeps in the trust of the stream looks now, and from here on more often.
      if (wasLive) for (const { ring } of channel.listeners) ring();
      if (Date.now() - sinceMs >= SOUND_MS) failures = 1;
      await new Bell().sleep(fullJitterMs(RECONNECT, failures, Math.random()), signal);
      if (signal.aborted) return;
    }
  }
}

/** `subscribe,<channel>,1` once, then `message,<channel>,<text>`: see `newsOf` in `lua/`. A channel's name may hold commas. */
function hear(channel: Channel, event: string): void {
  if (event.startsWith(`subscribe,${channel.name},`)) {
    channel.isLive = true;
    for (const { ring } of channel.listeners) ring();
    return;
  }
  const head = `message,${channel.name},`;
  if (!event.startsWith(head)) return;
  const [record, output] = readMessage(event.slice(head.length));
  for (const listener of channel.listeners) if (listener.record === record) listener.ring({ output });
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
