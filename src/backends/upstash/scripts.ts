import { hexDigest } from "../../digest.js";
import type { MachineName, TransitionName } from "../../machines/index.js";
import { Refused } from "./failure.js";
import type { UpstashRedis } from "./options.js";
import { scripts, statements } from "./scripts.gen.js";

/** Tells a server that locks by key that a script declares all of its keys. A stock Redis refuses it. */
export const KEY_LOCKING = "#!lua flags=allow-key-locking\n";

/** What Redis before 7, and Redis 7, say to a script that begins with a flag they do not know. */
const FLAG_REFUSED = /script shebang|unexpected symbol near '#'/;

const MACHINES = new Set(Object.keys(scripts).map((name) => name.slice(0, name.indexOf("."))));

/** Whether this version has the machine. */
export function isMachine(name: string): name is MachineName {
  return MACHINES.has(name);
}

/** Whether this version has the transition. */
export function isTransition(name: string): name is TransitionName {
  return Object.hasOwn(scripts, name);
}

/** The Lua of a transition: what it needs and nothing else. */
export function scriptOf(transition: TransitionName): string {
  return scripts[transition].map((number) => statements[number]).join("\n");
}

interface Script {
  readonly lua: string;
  readonly sha: string;
}

/** Runs the transitions' scripts: by their digest, with the text once the server does not know it. */
export class Scripts {
  readonly #isAuto: boolean;
  #locksKeys: boolean;
  /** Those that were run, by their first line and their transition. */
  readonly #made = new Map<string, Script>();

  constructor(keyLocking: "auto" | boolean) {
    this.#isAuto = keyLocking === "auto";
    this.#locksKeys = keyLocking !== false;
  }

  /** The raw reply. @throws {Refused} */
  async evaluate(redis: UpstashRedis, transition: TransitionName, keys: string[], args: string[]): Promise<unknown> {
    if (this.#locksKeys) {
      try {
        return await evaluate(redis, await this.#script(KEY_LOCKING, transition), keys, args);
      } catch (error) {
        // The flag is refused when the script is read: nothing of it ran.
        if (!this.#isAuto || !(error instanceof Refused) || !FLAG_REFUSED.test(error.text)) throw error;
        this.#locksKeys = false;
      }
    }
    return evaluate(redis, await this.#script("", transition), keys, args);
  }

  async #script(flags: string, transition: TransitionName): Promise<Script> {
    const name = flags + transition;
    const made = this.#made.get(name);
    if (made !== undefined) return made;
    const lua = flags + scriptOf(transition);
    // A result, not a promise: requests that share a coordinator must not wait for each other's.
    const script = { lua, sha: await hexDigest("SHA-1", lua) };
    this.#made.set(name, script);
    return script;
  }
}

async function evaluate(redis: UpstashRedis, { lua, sha }: Script, keys: string[], args: string[]): Promise<unknown> {
  try {
    return await redis.evalsha(sha, keys, args);
  } catch (error) {
    if (!(error instanceof Refused) || !error.text.startsWith("NOSCRIPT")) throw error;
    return redis.eval(lua, keys, args);
  }
}
