import type { MachineName } from "../../core/registry.js";
import type { Joinable, Outcome } from "../../runtime/batcher.js";
import type { Client } from "./client.js";
import { explained, explainRefusal, Refused, unexpectedReply } from "./failure.js";
import { readReply, type ScriptReply } from "./reply.js";
import type { ScriptCall, Scripts } from "./scripts.js";

/** One transition on one record. */
export interface Evaluation extends ScriptCall, Joinable {
  readonly machine: MachineName;
  readonly id: string;
}

interface Failed {
  readonly failure: unknown;
}

/**
 * Runs several transitions in one request. Each is atomic and fails by itself. Rejects when the whole request failed.
 * `Joined` then sets `applied` for each caller.
 */
export async function evaluate(
  evaluations: readonly Evaluation[],
  { client, scripts, signal }: { readonly client: Client; readonly scripts: Scripts; readonly signal: AbortSignal },
): Promise<Outcome<ScriptReply>[]> {
  const answers = await scripts.run(evaluations, (commands) => client.ask(commands, { signal, applied: "unknown" }));
  const [first] = answers;
  if (first !== undefined && answers.every((answer) => "failure" in answer)) throw explained((first as Failed).failure);
  return answers.map((answer) => {
    if ("failure" in answer) return { error: explained(answer.failure) };
    if (answer.error !== undefined) return { error: explainRefusal(new Refused(answer.error)) };
    const value = readReply(answer.result);
    return value === undefined ? { error: unexpectedReply("unknown") } : { value };
  });
}
