import type { TransitionName } from "../../core/registry.js";
import { hexDigest } from "../../lib/digest.js";
import type { Answer, Command } from "./client.js";
import { LIST, MEND } from "./index-scripts.js";
import { parts, scripts } from "./scripts.gen.js";

/** Declares that a script names all of its keys, for a server that locks by key. A stock Redis refuses it. */
export const KEY_LOCKING = "#!lua flags=allow-key-locking\n";

/** The errors of Redis before 7, and of Redis 7, for a script with an unknown flag. */
const FLAG_REFUSED = /script shebang|unexpected symbol near '#'/;

/**
 * Takes lines of one shard of the due queue: moves them to a later time, which hides them from other drains until then. That
 * time is unique to the call. A copy of the call, after a lost reply, finds the same lines by it.
 *
 * KEYS[1] the shard; ARGV[1] how many at most, ARGV[2] now, ARGV[3] until when, in milliseconds since 1970
 * Returns its first lines with their earlier times, at most one more than it takes.
 */
const TAKE = `local again = redis.call("ZRANGEBYSCORE", KEYS[1], ARGV[3], ARGV[3])
if #again > 0 then
  local taken = {}
  for _, name in ipairs(again) do
    table.insert(taken, name)
    table.insert(taken, ARGV[2])
  end
  local first = redis.call("ZRANGE", KEYS[1], 0, 0, "WITHSCORES")
  if tonumber(first[2]) ~= tonumber(ARGV[3]) then
    table.insert(taken, first[1])
    table.insert(taken, first[2])
  end
  return taken
end
local lines = redis.call("ZRANGE", KEYS[1], 0, ARGV[1], "WITHSCORES")
local moved = {}
for i = 2, math.min(#lines, 2 * ARGV[1]), 2 do
  if tonumber(lines[i]) > tonumber(ARGV[2]) then break end
  table.insert(moved, ARGV[3])
  table.insert(moved, lines[i - 1])
end
if #moved > 0 then redis.call("ZADD", KEYS[1], unpack(moved)) end
return lines`;

/** The scripts that are no transitions. */
const OTHERS = { take: TAKE, list: LIST, mend: MEND } as const;

/** The name of a script: a transition, `take` of the due queue, or `list` and `mend` of the index. */
export type ScriptName = TransitionName | keyof typeof OTHERS;

/** Returns whether this version has the transition. */
export function isTransition(name: string): name is TransitionName {
  return Object.hasOwn(scripts, name);
}

/** Returns the Lua of a script, with only the functions that it needs. They use each other as entries of the table `L`. */
export function scriptOf(name: ScriptName): string {
  if (name in OTHERS) return OTHERS[name as keyof typeof OTHERS];
  const numbers: readonly number[] = scripts[name as TransitionName];
  const entries = numbers.slice(0, -1).map((number) => parts[number]);
  return `local L\nL = {\n${entries.join(",\n")}\n}\n${parts[numbers.at(-1) as number]}`;
}

interface Script {
  readonly sha: string;
  /** Made when the server lacks it: a digest is all that most calls need. */
  lua(): string;
}

/** The SHA-1 digests of all scripts that were run, by their flag and name. Scripts are the same for every coordinator. */
const shas = new Map<string, string>();

async function scriptWith(flags: string, name: ScriptName): Promise<Script> {
  const lua = (): string => flags + scriptOf(name);
  const key = flags + name;
  // Caches a result, not a promise: requests that share an isolate must not wait for each other's promises.
  const sha = shas.get(key) ?? (await hexDigest("SHA-1", lua()));
  shas.set(key, sha);
  return { sha, lua };
}

/** One run of a script. */
export interface ScriptCall {
  readonly transition: ScriptName;
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

/** Sends commands in one request. They run in their order. */
export type Ask = (commands: readonly Command[]) => Promise<readonly Answer[]>;

/** The most rounds of one run: the digest may be unknown with and without the flag, and then the text is sent. */
const MAX_ROUNDS = 4;

/** Runs the transitions' scripts by their digest. Sends the text when the server does not know the digest. */
export class Scripts {
  readonly #isAuto: boolean;
  #locksKeys: boolean;
  /** The shas that the server knows. */
  readonly #known = new Set<string>();

  constructor(keyLocking: "auto" | boolean) {
    this.#isAuto = keyLocking === "auto";
    this.#locksKeys = keyLocking !== false;
  }

  /** Returns the raw answers. When a request fails, earlier answers are kept and the rest have its error. */
  async run(calls: readonly ScriptCall[], ask: Ask): Promise<(Answer | { readonly failure: unknown })[]> {
    const answers: (Answer | { readonly failure: unknown })[] = [];
    let left = [...calls.keys()];
    const missing = new Set<string>();
    for (let round = 1; left.length > 0; round++) {
      const asked = left.map((i) => calls[i] as ScriptCall);
      try {
        const scripts = await this.#scriptsOf(asked);
        const told = await ask(this.#commands(asked, scripts, missing));
        left = left.filter((i, at) => {
          const answer = told[at] as Answer;
          answers[i] = answer;
          return this.#isUnread(answer, (scripts[at] as Script).sha, missing) && round < MAX_ROUNDS;
        });
      } catch (failure) {
        for (const i of left) answers[i] = { failure };
        break;
      }
    }
    return answers;
  }

  /** Returns whether the server did not run the script, so that the call can be sent in another form. */
  #isUnread({ error }: Answer, sha: string, missing: Set<string>): boolean {
    if (error === undefined) this.#known.add(sha);
    else if (error.startsWith("NOSCRIPT")) {
      this.#known.delete(sha);
      missing.add(sha);
      return true;
    } else if (this.#isAuto && FLAG_REFUSED.test(error)) {
      this.#locksKeys = false;
      return true;
    }
    return false;
  }

  /**
   * Returns the commands. The first call of a script that the server lacks sends the text. If several calls concern one record
   * and the server may lack their script, the text is sent as well: a failed call must not be overtaken.
   */
  #commands(calls: readonly ScriptCall[], scripts: readonly Script[], missing: ReadonlySet<string>): Command[] {
    const callsOn = new Map<string, number>();
    for (const { keys } of calls) callsOn.set(keys[0] ?? "", (callsOn.get(keys[0] ?? "") ?? 0) + 1);
    const lacking = new Set(missing);
    for (const [i, { keys }] of calls.entries()) {
      const { sha } = scripts[i] as Script;
      if ((callsOn.get(keys[0] ?? "") ?? 0) > 1 && !this.#known.has(sha)) lacking.add(sha);
    }
    return calls.map(({ keys, args }, i) => {
      const { lua, sha } = scripts[i] as Script;
      const rest = [keys.length, ...keys, ...args];
      // The first call sends the text, for all later ones.
      return lacking.delete(sha) ? ["eval", lua(), ...rest] : ["evalsha", sha, ...rest];
    });
  }

  async #scriptsOf(calls: readonly ScriptCall[]): Promise<Script[]> {
    const flags = this.#locksKeys ? KEY_LOCKING : "";
    const scripts: Script[] = [];
    for (const { transition } of calls) scripts.push(await scriptWith(flags, transition));
    return scripts;
  }
}
