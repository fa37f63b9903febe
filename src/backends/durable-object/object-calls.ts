import { CoordinationError, type CoordinationErrorCode } from "../../errors.js";
import { faultOfObject, isTooLargeForRpc, lacksMethod } from "../../http/remote-faults.js";
import type { Joinable, Outcome } from "../../runtime/batcher.js";
import { NoRoom } from "../../runtime/size.js";
import type { ObjectCall, ObjectMethods, ObjectReply } from "./protocol.js";

type Refusal = Extract<ObjectReply, { readonly ok: false }>;

/** A call of an object that can share an RPC with other calls. */
export interface JoinableCall extends Joinable {
  readonly call: ObjectCall;
}

/** Makes the calls by one RPC, in their order. Rejects when the whole RPC fails and can be retried. */
export async function callObject(
  stub: ObjectMethods,
  ops: readonly JoinableCall[],
): Promise<readonly Outcome<object>[]> {
  const calls = ops.map(({ call }) => call);
  try {
    const [only] = calls as [ObjectCall];
    if (calls.length === 1) return [outcomeOf(await runAlone(stub, only))];
    const replies: unknown = await stub.runMany(calls);
    return calls.map((_, i) => outcomeOf(Object(replies)[i]));
  } catch (error) {
    // The object may run an earlier version during a deploy. Its answers may be larger than one RPC carries.
    if (calls.length > 1 && (lacksMethod(error) || isTooLargeForRpc(error))) return callOneByOne(stub, calls);
    const failure = failureOf(error);
    if (failure.resend) throw failure.error;
    return calls.map(() => failure);
  }
}

async function callOneByOne(stub: ObjectMethods, calls: readonly ObjectCall[]): Promise<readonly Outcome<object>[]> {
  const outcomes: Outcome<object>[] = [];
  for (const call of calls) outcomes.push(await runAlone(stub, call).then(outcomeOf, failureOf));
  return outcomes;
}

async function runAlone(stub: ObjectMethods, { transition, id, input }: ObjectCall): Promise<ObjectReply> {
  return stub.run(transition, id, input);
}

/** Leaves out the platform's messages: they may quote what the object's own code threw. */
export function failureOf(error: unknown): { readonly error: CoordinationError; readonly resend: boolean } {
  if (error instanceof CoordinationError) return { error, resend: error.retryable };
  const { resend, code, says, ...options } = faultOfObject(error);
  return { error: new CoordinationError(code, says, options), resend };
}

function outcomeOf(reply: unknown): Outcome<object> {
  const { ok, output, code, message, retryable, noRoom } = Object(reply) as Record<keyof Refusal | "output", unknown>;
  if (ok === true) return { value: output as object };
  if (ok !== false) {
    const text = "unexpected answer from the object: its class must extend CoordinatorObject";
    return { error: new CoordinationError("backend_rejected", text, { applied: "unknown" }) };
  }
  if (noRoom === true) return { noRoom: new NoRoom() };
  const options = { retryable: retryable === true };
  return { error: new CoordinationError(code as CoordinationErrorCode, String(message), options) };
}

/** Returns a reply's output, or throws the error that it carries. */
export function outputOf<Output>(reply: ObjectReply): Output {
  const outcome = outcomeOf(reply);
  if ("value" in outcome) return outcome.value as Output;
  throw "error" in outcome ? outcome.error : outcome.noRoom;
}
