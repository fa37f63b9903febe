/** One document on its way. The request's id travels along, so that the worker can tell how far it is. */
export interface Job {
  readonly requestId: string;
  readonly documentId: string;
  readonly pages: number;
}

/** Stands in for a real queue: each job is done a moment later, outside the request that sent it. */
export class Queue {
  readonly #work: (job: Job) => Promise<void>;

  constructor(work: (job: Job) => Promise<void>) {
    this.#work = work;
  }

  send(job: Job): void {
    setImmediate(() => this.#work(job).catch((error) => console.error(error)));
  }
}
