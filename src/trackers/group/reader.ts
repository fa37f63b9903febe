import type { Coordinator } from "../../coordinator.js";
import type { GroupView } from "../../core/group/view.js";
import { type GroupStatus, groupStatus } from "../../delivery/group-status.js";
import { CoordinationError } from "../../errors.js";
import { AbortListeners } from "../../lib/abort-listeners.js";
import { checkOptions, type Names } from "../../lib/known-options.js";
import { checkInteger } from "../../lib/validate.js";
import type { CallOptions } from "../call-options.js";
import { checkWait, endOrLook, type WaitCallOptions } from "../end-or-look.js";

/** A page of the results of acks. */
export interface ResultPage {
  readonly items: readonly TaskResult[];
  /** The `after` of the next page; null on the last page. */
  readonly next: number | null;
}

/** The result that an ack brought. */
export interface TaskResult {
  readonly taskId: string;
  readonly stage: string | null;
  readonly result: unknown;
}

/** A page of tasks. */
export interface TaskPage {
  readonly items: readonly GroupTask[];
  /** The `after` of the next page; null on the last page. */
  readonly next: number | null;
}

/** A task of a group. */
export interface GroupTask {
  readonly taskId: string;
  readonly stage: string | null;
  readonly state: "open" | "succeeded" | "failed";
  /** Why it failed. A generation keeps the texts of its first 1,000 errors; null for the others. */
  readonly error: string | null;
}

/** Which tasks a page looks at. */
interface PageOptions extends CallOptions {
  /** The `next` of the previous page. @default 0 */
  readonly after?: number | undefined;
  /** 1 to 1,000. @default 100 */
  readonly limit?: number | undefined;
}

/** Which results a page holds. */
export interface ResultOptions extends PageOptions {
  /** The order of the acks, or of the registration, which needs a list of tasks. @default "acks" */
  readonly order?: "acks" | "registration" | undefined;
}

/** Which tasks a page holds. */
export interface TaskOptions extends PageOptions {
  /** Only the tasks in this state. @default all */
  readonly state?: GroupTask["state"] | undefined;
}

/** Where a progress begins. */
export interface ProgressOptions extends CallOptions {
  /** The `version` of the last status that was seen. @default none: the current status comes first */
  readonly after?: string | undefined;
}

const RESULT_OPTIONS: Names<ResultOptions> = { after: true, limit: true, order: true, signal: true };
const TASK_OPTIONS: Names<TaskOptions> = { after: true, limit: true, state: true, signal: true };
const PROGRESS_OPTIONS: Names<ProgressOptions> = { after: true, signal: true };
const MAX_POSITION = 1_000_000_000;
/** How long one watch lasts. It is repeated until there is news. */
const WATCH_MS = 86_400_000;
/** How long the last read of an ended record may exceed the timeout. */
const LAST_READ_MS = 2_000;

/** Reads groups, or requests. */
export class GroupReader {
  readonly #signals = new AbortListeners();
  readonly #coordinator: Coordinator;
  readonly #machine: "completion" | "request";

  constructor(coordinator: Coordinator, machine: "completion" | "request") {
    this.#coordinator = coordinator;
    this.#machine = machine;
  }

  async status(id: string, { signal }: CallOptions): Promise<GroupStatus | null> {
    const { view } = await this.#coordinator.run(`${this.#machine}.status`, id, {}, { signal });
    return view === undefined ? null : groupStatus(id, view);
  }

  /** Returns the status at the end, or of one last read when the time is over. */
  async wait(id: string, options: WaitCallOptions): Promise<GroupStatus | null> {
    // A caller registers a request before it can wait for it. A group may be registered later, by another process.
    const input = this.#machine === "request" ? { isKnown: true } : {};
    const { view } = await endOrLook<{ readonly view?: GroupView }>(options, {
      signals: this.#signals,
      watch: async (watching) => {
        const lastReadMs = this.#machine === "request" ? LAST_READ_MS : 0;
        const output = await this.#coordinator.watch(`${this.#machine}.wait`, id, input, { ...watching, lastReadMs });
        if (output.view !== undefined || this.#machine === "request") return output;
        throw new CoordinationError("backend_rejected", "unexpected response: an ended group without its status");
      },
      look: (signal) => this.#coordinator.run(`${this.#machine}.status`, id, {}, { signal }),
    });
    return view === undefined ? null : groupStatus(id, view);
  }

  async tasks(id: string, options: TaskOptions): Promise<TaskPage | null> {
    checkOptions(options, TASK_OPTIONS);
    const { state, signal } = options;
    if (state !== undefined && !["open", "succeeded", "failed"].includes(state)) {
      throw new CoordinationError("invalid_input", 'state must be "open", "succeeded" or "failed"');
    }
    const input = { ...pageOf(options), ...(state === undefined ? {} : { state }) };
    const page = await this.#coordinator.run(`${this.#machine}.tasks`, id, input, { signal });
    if (!page.found) return null;
    checkListed(page.refused);
    const items = page.items.map((item): GroupTask => {
      return { taskId: item.id, stage: item.stage ?? null, state: item.state, error: item.error ?? null };
    });
    return { items, next: page.next ?? null };
  }

  async results(id: string, options: ResultOptions): Promise<ResultPage | null> {
    checkOptions(options, RESULT_OPTIONS);
    const { order, signal } = options;
    if (order !== undefined && order !== "acks" && order !== "registration") {
      throw new CoordinationError("invalid_input", 'order must be "acks" or "registration"');
    }
    const input = { ...pageOf(options), ...(order === undefined ? {} : { order }) };
    const page = await this.#coordinator.run(`${this.#machine}.results`, id, input, { signal });
    if (!page.found) return null;
    checkListed(page.refused);
    const items = page.items.map((item): TaskResult => {
      return { taskId: item.id, stage: item.stage ?? null, result: JSON.parse(item.result) as unknown };
    });
    return { items, next: page.next ?? null };
  }

  async *allResults(id: string, options: ResultOptions): AsyncGenerator<TaskResult, void> {
    let { after }: { readonly after?: number | null | undefined } = options;
    do {
      const page: ResultPage | null = await this.results(id, { ...options, after: after ?? 0 });
      if (page === null) return;
      yield* page.items;
      after = page.next;
    } while (after !== null);
  }

  /** Yields each newer status, until the group has ended or is gone. */
  async *progress(id: string, options: ProgressOptions): AsyncGenerator<GroupStatus, void> {
    checkOptions(options, PROGRESS_OPTIONS);
    const { after = "", signal } = options;
    checkVersion(after);
    let version = after;
    for (;;) {
      const status = await this.#watched(() => this.newer(id, version, { timeoutMs: WATCH_MS, signal }));
      if (status === null) return;
      yield status;
      if (status.state !== "open") return;
      version = status.version;
    }
  }

  /**
   * Returns the status once its version is another than `after`; null for a record that is unknown.
   *
   * @throws {CoordinationError} `wait_timeout` when nothing changed.
   */
  async newer(id: string, after: string, options: WaitCallOptions): Promise<GroupStatus | null> {
    checkVersion(after);
    const input = this.#machine === "request" ? { after, isKnown: true } : { after };
    const { view } = await this.#coordinator.watch(`${this.#machine}.progress`, id, input, checkWait(options));
    return view === undefined ? null : groupStatus(id, view);
  }

  /** Returns the status of the generation at its end; `undefined` when the generation is gone. */
  async endOf(id: string, generation: number, signal: AbortSignal): Promise<GroupStatus | undefined> {
    const { view } = await this.#watched(() =>
      this.#coordinator.watch(`${this.#machine}.wait`, id, { generation }, { timeoutMs: WATCH_MS, signal }),
    );
    return view === undefined ? undefined : groupStatus(id, view);
  }

  async #watched<Output>(watch: () => Promise<Output>): Promise<Output> {
    for (;;) {
      try {
        return await watch();
      } catch (error) {
        if (!(error instanceof CoordinationError && error.code === "wait_timeout")) throw error;
      }
    }
  }
}

function pageOf({ after = 0, limit = 100 }: PageOptions): { after: number; limit: number } {
  checkInteger(after, "after", 0, MAX_POSITION);
  checkInteger(limit, "limit", 1, 1_000);
  return { after, limit };
}

function checkVersion(after: unknown): void {
  if (typeof after === "string" && /^(\d{1,15}\.\d{1,15})?$/.test(after)) return;
  throw new CoordinationError("invalid_input", "after must be the version of a status");
}

function checkListed(refused: "counted" | undefined): void {
  if (refused === undefined) return;
  throw new CoordinationError(
    "unsupported",
    "the group was not registered with a list of tasks, so they have no order",
  );
}
