import type { IndexLine } from "../../core/store.js";
import { compareLines, type FoundLine, type ListPosition, type ListQuery } from "../../runtime/listing.js";
import { partsOfRecord, recordName, SHARDS } from "../../runtime/placement.js";
import type { Answer, Client } from "./client.js";
import { explainRefusal, Refused, unexpectedReply } from "./failure.js";
import { indexKeys, keysOf } from "./keys.js";
import type { ScriptCall, Scripts } from "./scripts.js";

export interface IndexOptions {
  readonly client: Client;
  readonly scripts: Scripts;
  readonly prefix: string;
  readonly skewMs: number;
  readonly signal: AbortSignal | undefined;
  /** Sends one request, and retries it like any operation. */
  request<T>(send: (signal: AbortSignal) => Promise<T>, signal: AbortSignal | undefined): Promise<T>;
}

/** The first lines of one list in one shard. */
interface Stream {
  readonly key: string;
  readonly list: number;
  readonly lines: FoundLine[];
  /** More lines follow. */
  isCut: boolean;
}

/** How many lines of a list a page reads from each shard, over their equal share. */
const SPARE_LINES = 6;
/** As in `lua/script.ts`. */
const LIST_SIZE = 1e14;

/**
 * The index of a machine: a sorted set in each of 64 shards. A page reads a few lines of each shard in one request, and
 * merges them. It asks a second time for shards whose lines it used up.
 */
export class ShardedIndex {
  readonly #options: IndexOptions;
  #nowMs = 0;

  constructor(options: IndexOptions) {
    this.#options = options;
  }

  /** Returns the lines of a page, whether others follow, and the server's time. */
  async page(query: ListQuery): Promise<{ lines: FoundLine[]; isCut: boolean; asOfMs: number }> {
    const { machine, lists, limit, order } = query;
    // One more line says whether others follow.
    const wanted = limit + 1;
    const most = Math.ceil(wanted / SHARDS) + SPARE_LINES;
    const calls = indexKeys(this.#options.prefix, machine).map((key) => ({ key, lists, after: query.after, most }));
    const streams = await this.#read(query, calls);
    let lines = merged(streams, order);
    const bound = lines[wanted - 1];
    const used = streams.filter((stream) => {
      const last = stream.lines.at(-1);
      return stream.isCut && last !== undefined && (bound === undefined || compareLines(last, bound, order) < 0);
    });
    if (used.length > 0) {
      const more = used.map(({ key, list, lines: own }) => ({ key, lists: [list], after: own.at(-1), most: wanted }));
      lines = merged([...streams, ...(await this.#read(query, more))], order);
    }
    return { lines: lines.slice(0, limit), isCut: lines.length > limit, asOfMs: this.#nowMs };
  }

  /** Corrects lines that are stale. A failure does not matter: the next page finds them again. */
  async mend(
    { machine }: ListQuery,
    stale: readonly { readonly found: FoundLine; readonly line: IndexLine | undefined }[],
  ): Promise<void> {
    const byKey = new Map<string, string[]>();
    for (const { found, line } of stale) {
      const { name, index = "" } = keysOf(this.#options.prefix, machine, found.id);
      const args = [name, scoreOf(found), line === undefined ? "" : scoreOf(line)];
      byKey.set(index, [...(byKey.get(index) ?? []), ...args]);
    }
    const calls = [...byKey].map(([key, args]) => ({ transition: "mend" as const, keys: [key], args }));
    await this.#run(calls).catch(() => {});
  }

  async #read(
    { machine, order, olderThanMs }: ListQuery,
    asked: readonly {
      readonly key: string;
      readonly lists: readonly number[];
      readonly after: ListPosition | undefined;
      readonly most: number;
    }[],
  ): Promise<Stream[]> {
    const skew = String(this.#options.skewMs);
    const replies = await this.#run(
      asked.map(({ key, lists, after, most }) => ({
        transition: "list" as const,
        keys: [key],
        args: [
          ...[String(most), order, String(olderThanMs), skew],
          ...(after === undefined ? ["", ""] : [String(after.atMs), recordName(machine, after.id)]),
          ...lists.map(String),
        ],
      })),
    );
    return asked.flatMap(({ key, lists, most }, i) => {
      const [time, ...found] = listOf(replies[i]);
      this.#nowMs = Number(time);
      if (!Number.isFinite(this.#nowMs) || found.length !== lists.length) throw unexpectedReply("no");
      return lists.map((list, n) => {
        const lines = linesOf(listOf(found[n]), list);
        return { key, list, lines, isCut: lines.length >= most };
      });
    });
  }

  async #run(calls: readonly ScriptCall[]): Promise<unknown[]> {
    const { client, scripts, request, signal: ended } = this.#options;
    return request(async (signal) => {
      const answers = await scripts.run(calls, (commands) => client.ask(commands, { signal, applied: "no" }));
      return answers.map(resultOf);
    }, ended);
  }
}

function merged(streams: readonly Stream[], order: ListQuery["order"]): FoundLine[] {
  return streams.flatMap(({ lines }) => lines).sort((a, b) => compareLines(a, b, order));
}

const scoreOf = ({ list, atMs }: IndexLine): string => String(list * LIST_SIZE + atMs);

function resultOf(answer: Answer | { readonly failure: unknown }): unknown {
  if ("failure" in answer) throw answer.failure;
  if (answer.error !== undefined) throw explainRefusal(new Refused(answer.error));
  return answer.result;
}

function listOf(reply: unknown): unknown[] {
  if (!Array.isArray(reply)) throw unexpectedReply("no");
  return reply;
}

/** Reads names and instants in turn. A name is the machine, a colon and the id. */
function linesOf(reply: unknown[], list: number): FoundLine[] {
  const lines: FoundLine[] = [];
  for (let i = 0; i < reply.length; i += 2) {
    const [name, atMs] = [reply[i], Number(reply[i + 1])];
    if (typeof name !== "string" || !Number.isFinite(atMs)) throw unexpectedReply("no");
    lines.push({ list, atMs, id: partsOfRecord(name).id });
  }
  return lines;
}
