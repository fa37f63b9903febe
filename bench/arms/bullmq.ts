import { FlowProducer, Worker } from "bullmq";
import { Deferred } from "../deferred.js";
import { CLIENTS } from "../rounds.js";

type RedisAddress = { readonly host: string; readonly port: number };

/** A fan-out as a flow of BullMQ, over TCP: a parent job that runs when its children are done. */
export class BullMqFlow {
  readonly #connection: RedisAddress & { readonly maxRetriesPerRequest: null };
  readonly #name = `flow-${crypto.randomUUID()}`;

  constructor(address: RedisAddress) {
    this.#connection = { ...address, maxRetriesPerRequest: null };
  }

  /** Queues the parent and its children; nobody works on them yet. */
  async add(tasks: number): Promise<void> {
    const producer = new FlowProducer({ connection: this.#connection });
    const children = Array.from({ length: tasks }, (_, n) => ({
      name: "task",
      queueName: `${this.#name}-tasks`,
      data: { n },
    }));
    await producer.add({ name: "group", queueName: this.#name, children });
    await producer.close();
  }

  /** Works on all of it, until the parent has run. */
  async work(): Promise<void> {
    const done = new Deferred();
    const connection = this.#connection;
    const tasks = new Worker(`${this.#name}-tasks`, async () => "done", { connection, concurrency: CLIENTS });
    const groups = new Worker(this.#name, async () => done.resolve(), { connection });
    await done.promise;
    await Promise.all([tasks.close(true), groups.close(true)]);
  }
}
