import type { GroupView } from "../../src/core/group/view.js";
import type { Claim } from "../../src/core/outbox/attempts.js";
import type { InputOf, OutputOf } from "../../src/core/registry.js";
import { Violation } from "./violation.js";

/** The trace contexts that the deliveries of each generation must name. */
export class TraceOracle {
  readonly #registered = new Map<string, string | undefined>();
  readonly #ended = new Map<string, string | undefined>();

  registered(
    name: string,
    { traceparent }: InputOf<"completion.register">,
    { outcome, view }: OutputOf<"completion.register">,
  ): void {
    if (outcome === "created") this.#registered.set(`${name} ${view?.generation}`, traceparent);
  }

  /** Another call than an ack shows the group. If it has ended without an ack that said so, no ack ended it. */
  seen(name: string, { view }: { readonly view?: GroupView }): void {
    const key = `${name} ${view?.generation}`;
    if (view !== undefined && view.state !== "open" && !this.#ended.has(key)) this.#ended.set(key, undefined);
  }

  /** Keeps the first ack whose answer says that it ended the generation. Copies of another call may say so later. */
  acked(name: string, { traceparent }: InputOf<"completion.ack">, { results }: OutputOf<"completion.ack">): void {
    for (const { ended, generation } of results) {
      const key = `${name} ${generation}`;
      if (ended && !this.#ended.has(key)) this.#ended.set(key, traceparent);
    }
  }

  claimed(name: string, { generation, registerTrace, endTrace }: Claim): void {
    const key = `${name} ${generation}`;
    if (registerTrace !== this.#registered.get(key)) throw new Violation("a delivery of another registration's trace");
    if (endTrace !== this.#ended.get(key)) throw new Violation("a delivery of another ack's trace");
  }
}
