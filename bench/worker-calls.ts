import { BARE_PATH, JOB_PATH, type JobName, type Jobs } from "./worker/jobs.js";

/** The Worker of the benchmarks, seen from outside. */
export class WorkerCalls {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async do<N extends JobName>(name: N, input: Jobs[N]["takes"]): Promise<Jobs[N]["gives"]> {
    const response = await fetch(this.#url + JOB_PATH + name, { method: "POST", body: JSON.stringify(input) });
    if (!response.ok) throw new Error(`${name}: the Worker answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as Jobs[N]["gives"];
  }

  /** One row in a bare object, over HTTP. */
  async hit(): Promise<void> {
    const response = await fetch(this.#url + BARE_PATH, { method: "POST", body: "{}" });
    await response.text();
  }
}
