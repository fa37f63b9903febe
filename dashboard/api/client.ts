import type { TasksOutput } from "../../src/core/group/looks.js";
import type { GroupView } from "../../src/core/group/view.js";
import { type GroupStatus, groupStatus } from "../../src/delivery/group-status.js";
import type { GroupList } from "../../src/trackers/group/list.js";
import type { ResultPage, TaskPage } from "../../src/trackers/group/reader.js";
import { ApiFault, faultOf } from "./faults.js";
import { pathSegment } from "./path-segment.js";

/** The longest wait for an answer. */
const ANSWER_MS = 30_000;

/** A task that another group or request does. */
export interface ChildTask {
  readonly taskId: string;
  readonly stage: string | null;
  readonly groupId: string | null;
  readonly requestId: string | null;
}

export interface ChildPage {
  readonly items: readonly ChildTask[];
  readonly next: number | null;
}

/** A group or a request. */
export interface Subject {
  readonly kind: "group" | "request";
  readonly id: string;
}

/** The answer to a batch. */
interface Outcomes<Output> {
  readonly outcomes: readonly (
    | { readonly output: Output }
    | { readonly problem: { readonly status: number; readonly code: string; readonly detail: string } }
  )[];
}

/** The steps that change a group. */
export type Step = "redeliver" | "retry" | "extend" | "seal" | "cancel";

export type TaskState = "open" | "succeeded" | "failed";

/** Calls the Worker's HTTP API, with the token in the header alone. */
export class ApiClient {
  readonly #token: string;
  readonly #onRefused: () => void;

  /** @param onRefused called when the Worker does not accept the token any more. */
  constructor(token: string, onRefused: () => void) {
    this.#token = token;
    this.#onRefused = onRefused;
  }

  list(query: string, signal: AbortSignal): Promise<GroupList> {
    return this.#json(`/v1/groups?${query}`, { signal });
  }

  /** Returns null for a group that is not registered, or has expired. */
  status(id: string, signal?: AbortSignal): Promise<GroupStatus | null> {
    return this.#known(groupPath(id), signal);
  }

  /**
   * Returns a page of tasks; null for a group that has only a number of tasks, or is unknown. The route of the tasks would refuse
   * the first, which a browser logs as an error.
   *
   * @param query how many tasks to look at: a page may hold fewer.
   */
  async tasks(
    id: string,
    { state, after, limit = PAGE }: { readonly state: TaskState; readonly after: number; readonly limit?: number },
  ): Promise<TaskPage | null> {
    const [output] = await this.#batch<TasksOutput>([
      { transition: "completion.tasks", id, input: { state, after, limit } },
    ]);
    if (output?.found !== true || output.refused !== undefined) return null;
    const items = output.items.map((line) => {
      return { taskId: line.id, stage: line.stage ?? null, state: line.state, error: line.error ?? null };
    });
    return { items, next: output.next ?? null };
  }

  results(id: string, after: number): Promise<ResultPage | null> {
    return this.#known(`${groupPath(id)}/results?after=${after}&limit=20`);
  }

  children(id: string, after: number): Promise<ChildPage | null> {
    return this.#known(`${groupPath(id)}/children?after=${after}&limit=20`);
  }

  /** Returns the statuses of up to 100 groups and requests in one call; null for an unknown one. */
  async statuses(subjects: readonly Subject[]): Promise<(GroupStatus | null)[]> {
    const operations = subjects.map(({ kind, id }) => {
      return { transition: kind === "group" ? "completion.status" : "request.status", id, input: {} };
    });
    const outputs = await this.#batch<{ readonly view?: GroupView }>(operations);
    return subjects.map(({ id }, i) => {
      const view = outputs[i]?.view;
      return view === undefined ? null : groupStatus(id, view);
    });
  }

  /** Runs a step. Returns what the Worker answers. */
  step<Answer>(id: string, step: Step, body: object): Promise<Answer> {
    return this.#json(`${groupPath(id)}/${step}`, { method: "POST", body: JSON.stringify(body) });
  }

  /** Returns the stream of a group's events, after the event that was received last. */
  async events(id: string, after: string, signal: AbortSignal): Promise<Response> {
    const headers = { accept: "text/event-stream", ...(after === "" ? {} : { "last-event-id": after }) };
    return this.#fetch(`${groupPath(id)}/events`, { headers, signal });
  }

  /** Runs reads in one call. Throws the first fault. */
  async #batch<Output>(operations: readonly object[]): Promise<Output[]> {
    const body = JSON.stringify({ operations });
    const { outcomes } = await this.#json<Outcomes<Output>>("/v1/batch", { method: "POST", body });
    return outcomes.map((outcome) => {
      if ("output" in outcome) return outcome.output;
      const { status, code, detail } = outcome.problem;
      throw new ApiFault(status, code, detail);
    });
  }

  async #known<Answer>(path: string, signal?: AbortSignal): Promise<Answer | null> {
    try {
      return await this.#json<Answer>(path, signal === undefined ? {} : { signal });
    } catch (error) {
      if (error instanceof ApiFault && error.status === 404) return null;
      throw error;
    }
  }

  async #json<Answer>(path: string, init: RequestInit): Promise<Answer> {
    const late = AbortSignal.timeout(ANSWER_MS);
    const signal = init.signal ? AbortSignal.any([init.signal, late]) : late;
    const response = await this.#fetch(path, { ...init, signal });
    try {
      return (await response.json()) as Answer;
    } catch (error) {
      throw init.signal?.aborted ? error : new ApiFault(0, "no_answer", "the answer broke off");
    }
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${this.#token}`);
    if (init.body !== undefined) headers.set("content-type", "application/json");
    let response: Response;
    try {
      response = await fetch(path, { ...init, headers, cache: "no-store", credentials: "omit", redirect: "error" });
    } catch (error) {
      if (init.signal?.aborted && (init.signal.reason as Error | undefined)?.name !== "TimeoutError") throw error;
      throw new ApiFault(0, "no_answer", "no answer");
    }
    if (response.ok) return response;
    if (response.status === 401) this.#onRefused();
    throw await faultOf(response);
  }
}

/** How many tasks a page looks at. */
const PAGE = 100;

function groupPath(id: string): string {
  return `/v1/groups/${pathSegment(id)}`;
}
