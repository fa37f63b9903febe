import type { BackendServer } from "./backends/backend.js";
import type { WorkerPool } from "./worker-pool.js";

/** At which share of the acked chunks a worker process is killed, and at which the server. */
const WORKER_AT = 0.25;
const SERVER_AT = 0.5;

/** What is broken on purpose in the middle of a run: one worker with work in hand, and the server behind the coordinator. */
export class Faults {
  readonly #pool: WorkerPool;
  readonly #server: BackendServer | undefined;
  readonly #say: (text: string) => void;
  readonly #underWay: Promise<void>[] = [];
  #isWorkerDue = true;
  #isServerDue = true;
  workersKilled = 0;
  serverKills = 0;
  serverAwayMs = 0;

  constructor(pool: WorkerPool, server: BackendServer | undefined, say: (text: string) => void) {
    this.#pool = pool;
    this.#server = server;
    this.#say = say;
  }

  /** To be told how far the run is, from 0 to 1. */
  at(share: number): void {
    if (share >= WORKER_AT && this.#isWorkerDue) {
      this.#isWorkerDue = false;
      this.#underWay.push(this.#killWorker());
    }
    if (share >= SERVER_AT && this.#isServerDue && this.#server !== undefined) {
      this.#isServerDue = false;
      this.#underWay.push(this.#killServer(this.#server));
    }
  }

  /** Resolves when what was broken stands again. */
  async over(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #killWorker(): Promise<void> {
    const killed = await this.#pool.killBusiest();
    if (killed === undefined) return;
    this.workersKilled += 1;
    this.#say(`  killed a worker with ${killed.inHand} messages in hand`);
  }

  async #killServer(server: BackendServer): Promise<void> {
    const sinceMs = performance.now();
    this.serverKills += 1;
    await server.killAndRestart();
    this.serverAwayMs = performance.now() - sinceMs;
    this.#say(`  killed ${server.name} with SIGKILL; back after ${(this.serverAwayMs / 1000).toFixed(1)} s`);
  }
}
