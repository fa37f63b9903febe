/** One hand-over of a message. Another hand-over of the same message has another receipt. */
export interface Delivery<Body> {
  readonly receipt: number;
  readonly body: Body;
}

/** Who takes messages: up to `capacity` of them in hand at once. */
export interface Consumer<Body> {
  readonly capacity: number;
  hand(delivery: Delivery<Body>): void;
}

export interface QueueOptions {
  /** How long a message may stay unsettled before it is handed over again, in milliseconds. */
  readonly visibilityMs: number;
  /** Decides, for every message that is sent, whether it comes twice. */
  readonly comesTwice: () => boolean;
}

interface Held<Body> {
  readonly body: Body;
  readonly consumer: Consumer<Body>;
  readonly timer: NodeJS.Timeout;
}

/**
 * A queue as clouds offer them: in order more or less, at least once. A message that is not settled in time comes again, and
 * so does one whose consumer is gone; some come twice for no reason at all.
 */
export class Queue<Body> {
  readonly #options: QueueOptions;
  readonly #waiting: Body[] = [];
  readonly #held = new Map<number, Held<Body>>();
  readonly #consumers = new Map<Consumer<Body>, number>();
  #lastReceipt = 0;
  #copies = 0;
  #redelivered = 0;
  #isClosed = false;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** How many messages were sent twice by `comesTwice`. */
  get copies(): number {
    return this.#copies;
  }

  /** How many hand-overs were repeated: the consumer was gone, or took too long. */
  get redelivered(): number {
    return this.#redelivered;
  }

  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#held.size === 0;
  }

  send(...bodies: readonly Body[]): void {
    for (const body of bodies) {
      this.#waiting.push(body);
      if (!this.#options.comesTwice()) continue;
      this.#waiting.push(body);
      this.#copies += 1;
    }
    this.#dispatch();
  }

  attach(consumer: Consumer<Body>): void {
    this.#consumers.set(consumer, 0);
    this.#dispatch();
  }

  /** Takes a consumer out; what it has in hand goes to others. Returns how many messages those were. */
  detach(consumer: Consumer<Body>): number {
    this.#consumers.delete(consumer);
    const left = [...this.#held].filter(([, held]) => held.consumer === consumer);
    for (const [receipt] of left) this.#putBack(receipt);
    return left.length;
  }

  inHand(consumer: Consumer<Body>): number {
    return this.#consumers.get(consumer) ?? 0;
  }

  /** Removes a message for good. A receipt that is over changes nothing: the message is on its way again. */
  settle(receipt: number): void {
    this.#take(receipt);
    this.#dispatch();
  }

  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#held.values()) clearTimeout(timer);
    this.#held.clear();
    this.#waiting.length = 0;
  }

  #take(receipt: number): Held<Body> | undefined {
    const held = this.#held.get(receipt);
    if (held === undefined) return undefined;
    clearTimeout(held.timer);
    this.#held.delete(receipt);
    const inHand = this.#consumers.get(held.consumer);
    if (inHand !== undefined) this.#consumers.set(held.consumer, inHand - 1);
    return held;
  }

  #putBack(receipt: number): void {
    const held = this.#take(receipt);
    if (held === undefined) return;
    this.#redelivered += 1;
    this.#waiting.unshift(held.body);
    this.#dispatch();
  }

  #dispatch(): void {
    while (!this.#isClosed && this.#waiting.length > 0) {
      const consumer = this.#leastBusy();
      if (consumer === undefined) return;
      const body = this.#waiting.shift() as Body;
      const receipt = ++this.#lastReceipt;
      const timer = setTimeout(() => this.#putBack(receipt), this.#options.visibilityMs);
      this.#held.set(receipt, { body, consumer, timer });
      this.#consumers.set(consumer, this.inHand(consumer) + 1);
      consumer.hand({ receipt, body });
    }
  }

  #leastBusy(): Consumer<Body> | undefined {
    let best: Consumer<Body> | undefined;
    for (const [consumer, inHand] of this.#consumers) {
      if (inHand < consumer.capacity && (best === undefined || inHand < this.inHand(best))) best = consumer;
    }
    return best;
  }
}
