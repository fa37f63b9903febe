import type { MachineName } from "../../machines/index.js";
import { Refused } from "./failure.js";
import type { UpstashRedis } from "./options.js";
import { KEY_LOCKING, scripts } from "./scripts.gen.js";

/** Whether this version has the machine. */
export function isMachine(name: string): name is MachineName {
  return Object.hasOwn(scripts, name);
}

/** What Redis before 7, and Redis 7, say to a script that begins with a flag they do not know. */
const FLAG_REFUSED = /script shebang|unexpected symbol near '#'/;

/** Runs the machines' scripts: by their digest, with the text once the server does not know it. */
export class Scripts {
  readonly #isAuto: boolean;
  #locksKeys: boolean;

  constructor(keyLocking: "auto" | boolean) {
    this.#isAuto = keyLocking === "auto";
    this.#locksKeys = keyLocking !== false;
  }

  /** The raw reply. @throws {Refused} */
  async evaluate(redis: UpstashRedis, machine: MachineName, keys: string[], args: string[]): Promise<unknown> {
    const { lua, sha, keyLockingSha } = scripts[machine];
    if (this.#locksKeys) {
      try {
        return await evaluate(redis, { sha: keyLockingSha, lua: KEY_LOCKING + lua }, keys, args);
      } catch (error) {
        // The flag is refused when the script is read: nothing of it ran.
        if (!this.#isAuto || !(error instanceof Refused) || !FLAG_REFUSED.test(error.text)) throw error;
        this.#locksKeys = false;
      }
    }
    return evaluate(redis, { sha, lua }, keys, args);
  }
}

async function evaluate(
  redis: UpstashRedis,
  script: { readonly sha: string; readonly lua: string },
  keys: string[],
  args: string[],
): Promise<unknown> {
  try {
    return await redis.evalsha(script.sha, keys, args);
  } catch (error) {
    if (!(error instanceof Refused) || !error.text.startsWith("NOSCRIPT")) throw error;
    return redis.eval(script.lua, keys, args);
  }
}
