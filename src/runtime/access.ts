import { MAX_PAGE_BYTES } from "../core/limits.js";
import type { Machines, TransitionName } from "../core/registry.js";
import type { WatchableTransition } from "./backend.js";

/** The properties of a transition that clients, backends and the Worker need to know. */
interface Access {
  /** It reads, so a lost answer loses nothing. It writes only what time alone decides (a timeout) or a TTL renewal. */
  readonly reads?: true;
  /** It can be watched: its output has `ready`. */
  readonly watchable?: true;
  /** Only a drain runs it. Clients cannot call it. */
  readonly internal?: true;
  /** The content of a large answer: a status, a run's value, or a page whose size the input may limit. Absent for short ones. */
  readonly answer?: "status" | "page" | "value";
}

/** Requires `watchable` exactly where the output has `ready`. */
type AccessOf<N> = Access & (N extends WatchableTransition ? { watchable: true } : { watchable?: never });

const WRITE = {} as const;
const READ = { reads: true } as const;
const PAGE = { reads: true, answer: "page" } as const;
const STATUS = { answer: "status" } as const;
const READ_STATUS = { reads: true, answer: "status" } as const;
const WATCH_STATUS = { reads: true, answer: "status", watchable: true } as const;
/** Its answer may hold the value of a run. */
const VALUE = { answer: "value" } as const;
const WATCH = { reads: true, watchable: true } as const;
const WAKE = { internal: true } as const;
const DRAIN = { internal: true, answer: "status" } as const;

/** The steps of groups and of requests: the same functions. */
const GROUP_STEPS = {
  register: STATUS,
  add: STATUS,
  seal: STATUS,
  ack: STATUS,
  decrement: STATUS,
  count: STATUS,
  retry: STATUS,
  extend: STATUS,
  heartbeat: STATUS,
  cancel: STATUS,
  cancelChild: STATUS,
  abandon: STATUS,
  remove: STATUS,
  status: READ_STATUS,
  brief: READ,
  wait: WATCH_STATUS,
  progress: WATCH_STATUS,
  tasks: PAGE,
  results: PAGE,
  children: PAGE,
  take: STATUS,
  redeliver: STATUS,
  woken: DRAIN,
  settle: DRAIN,
} as const satisfies { readonly [Step in keyof Machines["completion"]]: AccessOf<`completion.${Step}`> };

type StepsOf<M extends string> = {
  readonly [Step in keyof typeof GROUP_STEPS as `${M}.${Step}`]: (typeof GROUP_STEPS)[Step];
};
type GroupSteps = StepsOf<"completion"> & StepsOf<"request">;

/** The other transitions. The compiler refuses a transition that is missing here. */
const OTHERS = {
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
  "coalesce.next": WRITE,
  "coalesce.seen": WRITE,
  "dedupe.claim": WRITE,
  "dedupe.release": WRITE,
  "dedupe.begin": VALUE,
  "dedupe.renew": WRITE,
  "dedupe.finish": WRITE,
  "dedupe.fail": WRITE,
  "dedupe.forget": WRITE,
  "dedupe.wait": WATCH,
  "stats.merge": WRITE,
  "stats.consume": WRITE,
  "semaphore.acquire": WRITE,
  "semaphore.extend": WRITE,
  "semaphore.release": WRITE,
  "semaphore.leave": WRITE,
  "semaphore.turn": WATCH,
  "semaphore.status": READ_STATUS,
  "semaphore.woken": WAKE,
  "limiter.take": WRITE,
} as const satisfies { readonly [N in Exclude<TransitionName, keyof GroupSteps>]: AccessOf<N> };

type Descriptions = typeof OTHERS & GroupSteps;

/** A transition that only a drain runs. */
export type InternalTransition = {
  [N in TransitionName]: Descriptions[N] extends { readonly internal: true } ? N : never;
}[TransitionName];

/** A transition that a client may run. */
export type PublicTransition = Exclude<TransitionName, InternalTransition>;

/** How many bytes are reserved for an answer with a status. Most take far less, the largest about 130 KB. */
const STATUS_BYTES = 32_768;
/** The largest value of a run. */
const VALUE_BYTES = 98_304;

function accessOf(name: string): Access {
  const [machine, step = ""] = name.split(".");
  const [steps, key] = machine === "completion" || machine === "request" ? [GROUP_STEPS, step] : [OTHERS, name];
  return Object.hasOwn(steps, key) ? ((steps as Readonly<Record<string, Access>>)[key] ?? WRITE) : WRITE;
}

/** Whether its answer is a page, whose size the input may limit. */
export function isPaged(name: string): boolean {
  return accessOf(name).answer === "page";
}

/** Returns how many bytes of a batch's answer are reserved for a transition; 0 for short answers. */
export function answerSize(name: string): number {
  const { answer } = accessOf(name);
  if (answer === undefined) return 0;
  if (answer === "page") return MAX_PAGE_BYTES;
  return answer === "value" ? VALUE_BYTES : STATUS_BYTES;
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
