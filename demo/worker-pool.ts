import { setTimeout as pause } from "node:timers/promises";
import type { Child } from "./child.js";
import type { Consumer, Delivery, Queue } from "./queue.js";
import { type AckReport, type Bench, type Message, work } from "./work.js";
import type { FromWorker, WorkerStart } from "./worker-process.js";

/** How many messages a worker has in hand at once. */
const CAPACITY = 4;
/** So many workers that never became ready, and the pool gives up. */
const MAX_FALSE_STARTS = 3;

/** What a worker tells the pool. */
export interface WorkerEvents {
  ready(): void;
  settled(receipt: number): void;
  sent(messages: readonly Message[]): void;
  acked(report: AckReport): void;
  /** It ended, on its own or killed. */
  gone(lastWords: string): void;
}

/** A worker as the pool sees it. */
export interface Worker {
  hand(delivery: Delivery<Message>): void;
  /** Ends it at once, whatever it has in hand. */
  kill(): Promise<void>;
}

export type StartWorker = (events: WorkerEvents) => Worker;

interface Member {
  readonly worker: Worker;
  readonly consumer: Consumer<Message>;
  isReady: boolean;
}

/** What a pool tells the run. */
export interface PoolEvents {
  acked(report: AckReport): void;
  /** Workers do not start. */
  failed(message: string): void;
}

/** Keeps a number of workers at the queue; one that is gone is replaced, and its messages go to others. */
export class WorkerPool {
  readonly #queue: Queue<Message>;
  readonly #start: StartWorker;
  readonly #events: PoolEvents;
  readonly #members = new Set<Member>();
  #isClosed = false;
  #dropped = 0;
  #falseStarts = 0;

  constructor(queue: Queue<Message>, start: StartWorker, events: PoolEvents) {
    this.#queue = queue;
    this.#start = start;
    this.#events = events;
  }

  /** How many messages were in the hands of workers that ended. */
  get dropped(): number {
    return this.#dropped;
  }

  grow(size: number): void {
    for (let i = 0; i < size; i++) this.#add();
  }

  /** Kills the worker that has most in hand; waits until one has something. */
  async killBusiest(): Promise<{ inHand: number } | undefined> {
    while (!this.#isClosed) {
      const [busiest] = [...this.#members].sort((a, b) => this.#inHand(b) - this.#inHand(a));
      const inHand = busiest === undefined ? 0 : this.#inHand(busiest);
      if (busiest !== undefined && inHand > 0) {
        await busiest.worker.kill();
        return { inHand };
      }
      if (this.#queue.isIdle) return undefined;
      await pause(1);
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#members].map(({ worker }) => worker.kill()));
  }

  #inHand({ consumer }: Member): number {
    return this.#queue.inHand(consumer);
  }

  #add(): void {
    if (this.#isClosed) return;
    const worker = this.#start({
      ready: () => {
        member.isReady = true;
        this.#queue.attach(member.consumer);
      },
      settled: (receipt) => this.#queue.settle(receipt),
      sent: (messages) => this.#queue.send(...messages),
      acked: (report) => this.#events.acked(report),
      gone: (lastWords) => this.#lose(member, lastWords),
    });
    const consumer = { capacity: CAPACITY, hand: (delivery: Delivery<Message>) => worker.hand(delivery) };
    const member: Member = { worker, consumer, isReady: false };
    this.#members.add(member);
  }

  #lose(member: Member, lastWords: string): void {
    this.#members.delete(member);
    if (this.#isClosed) return;
    if (!member.isReady && ++this.#falseStarts >= MAX_FALSE_STARTS) {
      this.#events.failed(`worker processes do not start: ${lastWords || "they end at once"}`);
      return;
    }
    this.#dropped += this.#queue.detach(member.consumer);
    this.#add();
  }
}

/** Workers as processes of their own. */
export function processWorker(startChild: () => Child<FromWorker>, start: WorkerStart): StartWorker {
  return (events) => {
    const child = startChild();
    child.onMessage((message) => {
      if (message.type === "ready") events.ready();
      else if (message.type === "settled") events.settled(message.receipt);
      else if (message.type === "sent") events.sent(message.messages);
      else events.acked(message.report);
    });
    child.exited.then(() => events.gone(child.lastWords));
    child.send({ ...start });
    return { hand: (delivery) => child.send({ ...delivery }), kill: () => child.kill() };
  };
}

/** Workers as tasks of this process. One that is "killed" is not listened to any more. */
export function taskWorker(bench: Omit<Bench, "send" | "acked">): StartWorker {
  return (events) => {
    let isAlive = true;
    const own: Bench = {
      ...bench,
      send: (...messages) => isAlive && events.sent(messages),
      acked: (report) => isAlive && events.acked(report),
    };
    const hand = async ({ receipt, body }: Delivery<Message>) => {
      await pause(0);
      await work(body, own);
      if (isAlive) events.settled(receipt);
    };
    const kill = async () => {
      isAlive = false;
      events.gone("");
    };
    queueMicrotask(events.ready);
    return { hand, kill };
  };
}
