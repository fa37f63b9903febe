import { BARE_PATH, JOB_PATH, type JobName, type Jobs } from "./worker/jobs.js";

/** The Worker of the benchmarks, seen from outside. */
export class WorkerCalls {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async do<N extends JobName>(name: N, input: Jobs[N]["takes"]): Promise<Jobs[N]["gives"]> {
    // A job may take seconds: the next one does not rely on a connection that stood idle meanwhile.
    const headers = { connection: "close" };
    const body = JSON.stringify(input);
    const response = await fetch(this.#url + JOB_PATH + name, { method: "POST", headers, body });
    if (!response.ok) throw new Error(`${name}: the Worker answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as Jobs[N]["gives"];
  }

  /** One row in a bare object, over HTTP. */
  async hit(): Promise<void> {
    const response = await fetch(this.#url + BARE_PATH, { method: "POST", body: "{}" });
    await response.text();
  }
}
