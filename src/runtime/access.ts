import { MAX_PAGE_BYTES } from "../core/limits.js";
import type { TransitionName } from "../core/registry.js";
import type { WatchableTransition } from "./backend.js";

/** The properties of a transition that clients, backends and the Worker need to know. */
interface Access {
  /** It reads, so a lost answer loses nothing. It writes only what time alone decides (a timeout) or a TTL renewal. */
  readonly reads?: true;
  /** It can be watched: its output has `ready`. */
  readonly watchable?: true;
  /** Only a drain runs it. Clients cannot call it. */
  readonly internal?: true;
  /** The content of a large answer: a status, or a page whose size the input may limit. Absent for short answers. */
  readonly answer?: "status" | "page";
}

/** Requires `watchable` exactly where the output has `ready`. */
type AccessOf<N> = Access & (N extends WatchableTransition ? { watchable: true } : { watchable?: never });

const WRITE = {} as const;
const READ = { reads: true } as const;
const PAGE = { reads: true, answer: "page" } as const;
const STATUS = { answer: "status" } as const;
const READ_STATUS = { reads: true, answer: "status" } as const;
const WATCH_STATUS = { reads: true, answer: "status", watchable: true } as const;
const DRAIN = { internal: true, answer: "status" } as const;

/** All transitions. The compiler refuses a transition that is missing here. */
const ACCESS = {
  "kv.incr": WRITE,
  "kv.getInt": READ,
  "kv.setIfAbsent": WRITE,
  "kv.sadd": WRITE,
  "kv.srem": WRITE,
  "kv.scard": READ,
  "kv.rpush": WRITE,
  "kv.lrange": PAGE,
  "kv.expire": WRITE,
  "kv.delete": WRITE,
  "completion.register": STATUS,
  "completion.ack": STATUS,
  "completion.decrement": STATUS,
  "completion.cancel": STATUS,
  "completion.status": READ_STATUS,
  "completion.wait": WATCH_STATUS,
  "completion.results": PAGE,
  "completion.take": STATUS,
  "completion.redeliver": STATUS,
  "completion.woken": DRAIN,
  "completion.settle": DRAIN,
  "request.register": STATUS,
  "request.roots": STATUS,
  "request.seal": STATUS,
  "request.abandon": STATUS,
  "request.mark": STATUS,
  "request.record": STATUS,
  "request.status": READ_STATUS,
  "request.wait": WATCH_STATUS,
  "request.progress": WATCH_STATUS,
  "request.cleanup": STATUS,
  "coalesce.next": WRITE,
  "coalesce.seen": WRITE,
  "dedupe.claim": WRITE,
  "dedupe.release": WRITE,
  "stats.merge": WRITE,
  "stats.consume": WRITE,
} as const satisfies { readonly [N in TransitionName]: AccessOf<N> };

type Descriptions = typeof ACCESS;

/** A transition that only a drain runs. */
export type InternalTransition = {
  [N in TransitionName]: Descriptions[N] extends { readonly internal: true } ? N : never;
}[TransitionName];

/** A transition that a client may run. */
export type PublicTransition = Exclude<TransitionName, InternalTransition>;

/** How many bytes are reserved for an answer with a status. Most take far less; a hundred long errors take 122 KB. */
const STATUS_BYTES = 32_768;

function accessOf(name: string): Access {
  return Object.hasOwn(ACCESS, name) ? ACCESS[name as TransitionName] : WRITE;
}

/** Whether its answer is a page, whose size the input may limit. */
export function isPaged(name: string): boolean {
  return accessOf(name).answer === "page";
}

/** Returns how many bytes of a batch's answer are reserved for a transition; 0 for short answers. */
export function answerSize(name: string): number {
  const { answer } = accessOf(name);
  if (answer === undefined) return 0;
  return answer === "page" ? MAX_PAGE_BYTES : STATUS_BYTES;
}

/** Whether a write may have been applied when the answer to this transition is lost. */
export function lostAnswer(name: TransitionName): "no" | "unknown" {
  return accessOf(name).reads === true ? "no" : "unknown";
}

/** Whether only a drain may run it. Clients cannot call it. */
export function isInternal(name: string): name is InternalTransition {
  return accessOf(name).internal === true;
}

/** Whether its output has `ready`. */
export function isWatchable(name: string): name is WatchableTransition {
  return accessOf(name).watchable === true;
}
