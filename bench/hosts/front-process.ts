import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { FrontCounts, FrontQuestion, FrontReady, FrontStart } from "./front.js";

/** The process of the REST server and the gateways, seen from the clients'. */
export class FrontProcess {
  readonly #child: ChildProcess;
  readonly urls: FrontReady;

  private constructor(child: ChildProcess, urls: FrontReady) {
    this.#child = child;
    this.urls = urls;
  }

  static async start(start: FrontStart): Promise<FrontProcess> {
    // The loader that lets this process run TypeScript comes along.
    const child = fork(fileURLToPath(new URL("./front.ts", import.meta.url)), [JSON.stringify(start)]);
    const ended = once(child, "exit").then(() => undefined);
    const ready = await Promise.race([once(child, "message"), ended]);
    if (ready === undefined) throw new Error("the REST server did not start");
    return new FrontProcess(child, ready[0] as FrontReady);
  }

  /** Sets the distance, when one is given, and returns what was counted since the last call. */
  async ask(question: FrontQuestion = {}): Promise<FrontCounts> {
    const answered = once(this.#child, "message");
    this.#child.send(question);
    return (await answered)[0] as FrontCounts;
  }

  async close(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.disconnect();
    await ended;
  }
}
