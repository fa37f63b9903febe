import type { Kind } from "../../cli/snapshot.js";
import type { GroupView } from "../../src/core/group/view.js";
import type { InputOf, OutputOf } from "../../src/core/registry.js";
import { type GroupStatus, groupStatus } from "../../src/delivery/group-status.js";
import type { ListedGroup } from "../../src/trackers/group/list.js";
import type { ResultPage, TaskPage } from "../../src/trackers/group/reader.js";
import type { ListedRequest } from "../../src/trackers/request/list.js";
import type { SubjectId } from "../place.js";
import { ApiFault, faultOf } from "./faults.js";
import { pathSegment } from "./path-segment.js";

/** The longest wait for an answer. */
const ANSWER_MS = 30_000;

/** A task that another group or request does. */
export interface ChildTask extends SubjectId {
  readonly taskId: string;
  readonly stage: string | null;
}

/** Items, and where the next page begins; null after the last one. */
interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: number | null;
}

/** A group or a request as a list shows it. */
export interface Listed extends Omit<ListedGroup, "groupId" | "state"> {
  readonly id: string;
  readonly state: string;
}

export interface List {
  readonly items: readonly Listed[];
  readonly next: string | null;
  readonly asOfMs: number;
}

/** The answer to a batch. */
interface Outcomes<Output> {
  readonly outcomes: readonly (
    | { readonly output: Output }
    | { readonly problem: { readonly status: number; readonly code: string; readonly detail: string } }
  )[];
}

/** The steps that the page runs. */
type Step = "status" | "tasks" | "results" | "children" | "redeliver" | "retry" | "extend" | "seal" | "cancel";

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

  async list(kind: Kind, query: string, signal: AbortSignal): Promise<List> {
    type Answer = Omit<List, "items"> & { readonly items: readonly (ListedGroup | ListedRequest)[] };
    const { items, ...page } = await this.#json<Answer>(`/v1/${kind}s?${query}`, { signal });
    return {
      items: items.map((item) => ({ ...item, id: "groupId" in item ? item.groupId : item.requestId })),
      ...page,
    };
  }

  /** Returns null for an id that is not registered, or has expired. */
  async status(subject: SubjectId, signal?: AbortSignal): Promise<GroupStatus | null> {
    return statusOf(subject.id, await this.run(subject, "status", {}, signal));
  }

  /**
   * Returns a page of tasks; null for a group that has only a number of tasks, or is unknown. The route of the tasks would refuse
   * the first, which a browser logs as an error.
   *
   * @param query how many tasks to look at: a page may hold fewer.
   */
  async tasks(
    subject: SubjectId,
    { state, after, limit = PAGE }: { readonly state: TaskState; readonly after: number; readonly limit?: number },
  ): Promise<TaskPage | null> {
    const output = await this.run(subject, "tasks", { state, after, limit });
    if (!output.found || output.refused !== undefined) return null;
    const items = output.items.map((line) => {
      return { taskId: line.id, stage: line.stage ?? null, state: line.state, error: line.error ?? null };
    });
    return { items, next: output.next ?? null };
  }

  /** Returns null for an unknown id. */
  async results(subject: SubjectId, after: number): Promise<ResultPage | null> {
    const output = await this.run(subject, "results", { after, limit: 20 });
    if (!output.found) return null;
    const items = output.items.map(({ id, stage = null, result }) => ({
      taskId: id,
      stage,
      result: JSON.parse(result),
    }));
    return { items, next: output.next ?? null };
  }

  /** Returns the children of open tasks. */
  async children(subject: SubjectId, after: number): Promise<Page<ChildTask>> {
    const { items, next } = await this.run(subject, "children", { after, limit: 20 });
    const children = items.map(({ id, stage, machine, groupId }): ChildTask => {
      return { kind: machine === "request" ? "request" : "group", id: groupId, taskId: id, stage: stage ?? null };
    });
    return { items: children, next: next ?? null };
  }

  /** Returns the statuses of up to 100 groups and requests in one call; null for an unknown one. */
  async statuses(subjects: readonly SubjectId[]): Promise<(GroupStatus | null)[]> {
    const operations = subjects.map((subject) => ({
      transition: `${machineOf(subject)}.status`,
      id: subject.id,
      input: {},
    }));
    const outputs = await this.#batch<OutputOf<"completion.status">>(operations);
    return subjects.map(({ id }, i) => statusOf(id, outputs[i] ?? {}));
  }

  /** Runs a step of a group or a request: they are one machine. */
  async run<S extends Step>(
    subject: SubjectId,
    step: S,
    input: InputOf<`completion.${S}`>,
    signal?: AbortSignal,
  ): Promise<OutputOf<`completion.${S}`>> {
    type Answer = { readonly output: OutputOf<`completion.${S}`> };
    const body = JSON.stringify({ id: subject.id, input });
    const init = { method: "POST", body, ...(signal === undefined ? {} : { signal }) };
    return (await this.#json<Answer>(`/v1/run/${machineOf(subject)}/${step}`, init)).output;
  }

  /** Returns the stream of events, after the event that was received last. */
  async events({ kind, id }: SubjectId, after: string, signal: AbortSignal): Promise<Response> {
    const headers = { accept: "text/event-stream", ...(after === "" ? {} : { "last-event-id": after }) };
    return this.#fetch(`/v1/${kind}s/${pathSegment(id)}/events`, { headers, signal });
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

function machineOf({ kind }: SubjectId): "completion" | "request" {
  return kind === "group" ? "completion" : "request";
}

/** Returns the status that an output carries. */
export function statusOf(id: string, { view }: { readonly view?: GroupView }): GroupStatus | null {
  return view === undefined ? null : groupStatus(id, view);
}
