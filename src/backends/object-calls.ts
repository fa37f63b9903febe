import type { TransitionName } from "../machines/index.js";
import { endOfTurn } from "../turn.js";
import type { ObjectCall, ObjectMethods, ObjectReply } from "./durable-object.js";

/** One RPC takes so many. */
const MAX_CALLS = 128;

interface Waiting extends ObjectCall {
  readonly resolve: (reply: ObjectReply | Promise<ObjectReply>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Calls on one object that begin in the same turn of the event loop share an RPC, in their order; each has a reply of its
 * own. A turn is one request's: nothing of another is waited for.
 */
export class ObjectCalls {
  readonly #stubOf: (transition: TransitionName, id: string) => ObjectMethods;
  /** Those of this turn, by their object. */
  #turn = new Map<string, Waiting[]>();

  /** @param stubOf a stub for one call, of the object that has this record. */
  constructor(stubOf: (transition: TransitionName, id: string) => ObjectMethods) {
    this.#stubOf = stubOf;
  }

  /** @param object what the object is called: the same for all that may share an RPC. */
  run(object: string, call: ObjectCall): Promise<ObjectReply> {
    return new Promise((resolve, reject) => {
      const waiting = this.#turn.get(object);
      if (waiting !== undefined) {
        waiting.push({ ...call, resolve, reject });
        return;
      }
      if (this.#turn.size === 0) void this.#endTurn();
      this.#turn.set(object, [{ ...call, resolve, reject }]);
    });
  }

  async #endTurn(): Promise<void> {
    await endOfTurn();
    const turn = this.#turn;
    this.#turn = new Map();
    for (const calls of turn.values()) this.#send(calls);
  }

  /** Parts of one stub's arrive in their order. */
  #send(calls: readonly Waiting[]): void {
    try {
      const [first] = calls as [Waiting];
      const stub = this.#stubOf(first.transition, first.id);
      for (let from = 0; from < calls.length; from += MAX_CALLS)
        void sendPart(stub, calls.slice(from, from + MAX_CALLS));
    } catch (error) {
      for (const { reject } of calls) reject(error);
    }
  }
}

async function sendPart(stub: ObjectMethods, calls: readonly Waiting[]): Promise<void> {
  const [first] = calls as [Waiting];
  try {
    if (calls.length === 1) {
      first.resolve(await runAlone(stub, first));
      return;
    }
    const replies = await stub.runMany(calls.map(({ transition, id, input }) => ({ transition, id, input })));
    // One that is missing has an unknown shape, and is told so.
    for (const [i, { resolve }] of calls.entries()) resolve(Object(replies)[i] as ObjectReply);
  } catch (error) {
    if (calls.length > 1 && (lacksMethod(error) || isTooLarge(error))) {
      // An object that still runs an earlier version, while one is deployed; or more than one RPC can carry. What has landed
      // knows the call when it comes again.
      for (const call of calls) await runAlone(stub, call).then(call.resolve, call.reject);
    } else for (const { reject } of calls) reject(error);
  }
}

async function runAlone(stub: ObjectMethods, { transition, id, input }: ObjectCall): Promise<ObjectReply> {
  return stub.run(transition, id, input);
}

/** What the call or its answer takes is more than an RPC may: the platform has no mark for it, only words. */
export function isTooLarge(error: unknown): boolean {
  return error instanceof Error && /RPC arguments or return values are limited to/i.test(error.message);
}

/** The platform's own mark, and its words. */
export function lacksMethod(error: unknown): boolean {
  return (Object(error) as { readonly remote?: unknown }).remote === true && error instanceof TypeError;
}
