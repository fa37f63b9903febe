import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { IndexSender } from "../../src/backends/durable-object/object/index-sender.js";
import {
  type IndexMessage,
  type IndexPage,
  indexTag,
  type ObjectMethods,
} from "../../src/backends/durable-object/protocol.js";
import type { IndexCounts, ListQuery } from "../../src/runtime/listing.js";
import { bench, crash, inside, outputOf, type Stub } from "./test-worker.js";

/** Open groups, completed ones, and completed ones with a dead letter. */
export const LISTS = [0, 4, 7] as const;
const LATER_MS = 7_200_000;
const LARGE_BYTES = 500_000_000;
const BRIEF = {
  state: "open",
  generation: 1,
  changes: 1,
  total: 1,
  succeeded: 0,
  failed: 0,
  registeredAtMs: 1,
} as const;
const QUERY: ListQuery = { machine: "completion", lists: [0], order: "newest", olderThanMs: 0, limit: 100 };

/** What a shard stores about its index. */
export interface StoredState {
  readonly count: number;
  readonly target?: number;
  readonly moved?: string;
  readonly sealed?: string;
  readonly isReceiving: boolean;
  readonly isUnsettled?: boolean;
}

/** The index of one key prefix, which tests reach without objects that hold groups. */
export class TestIndex {
  readonly keyPrefix: string;
  /** Where each record's line is, by the messages that the index has confirmed. */
  readonly expected = new Map<string, { readonly list: number; readonly atMs: number }>();
  #sentAtMs = 1;

  constructor(keyPrefix: string) {
    this.keyPrefix = keyPrefix;
  }

  shard(number: number): Stub {
    return env.COORDINATOR.getByName(this.keyPrefix + indexTag(number));
  }

  /** The line of a record, as its object would send it. A list below 0: the record was removed. */
  message(id: string, list: number, sentAtMs = ++this.#sentAtMs): IndexMessage {
    const told = {
      machine: "completion" as const,
      id,
      untilMs: bench.now() + LATER_MS,
      sentAtMs,
      sinceMs: bench.now(),
    };
    return list < 0 ? told : { ...told, line: { list, atMs: sentAtMs }, brief: BRIEF };
  }

  /** Sends a line as an object in a new isolate does, which knows of no shards; or as one that knows `env`. */
  async tell(id: string, list: number, env: object = {}): Promise<void> {
    const line = this.message(id, list);
    await this.sender(env).send(line);
    if (line.line === undefined) this.expected.delete(id);
    else this.expected.set(id, line.line);
  }

  sender(of: object = {}): IndexSender {
    return new IndexSender({ env: of, namespace: () => env.COORDINATOR, keyPrefix: () => this.keyPrefix });
  }

  async page(query: Partial<ListQuery> = {}, shard = 0): Promise<IndexPage & { readonly asOfMs: number }> {
    const reply = await (this.shard(shard) as unknown as ObjectMethods).listIndex({ ...QUERY, ...query });
    return outputOf(reply) as unknown as IndexPage & { asOfMs: number };
  }

  /** Returns the ids of a list, page by page. Larger pages than callers get take less time. */
  async ids(list: number): Promise<string[]> {
    const found: string[] = [];
    for (let after: ListQuery["after"], isCut = true; isCut; ) {
      const page = await this.page({ lists: [list], after, limit: 400 });
      found.push(...page.lines.map(({ id }) => id));
      after = page.lines.at(-1);
      isCut = page.isCut;
    }
    return found;
  }

  expectedIds(list: number): string[] {
    const there = [...this.expected].filter(([, line]) => line.list === list);
    return there.sort(([, a], [, b]) => b.atMs - a.atMs).map(([id]) => id);
  }

  /** Expects each record on one page exactly, in its list, and in one count. */
  async expectExact(): Promise<void> {
    for (const list of LISTS) expect(await this.ids(list)).toEqual(this.expectedIds(list));
    const counted = (await this.counts()).lists.map(({ list, count }) => [list, count]);
    const open = LISTS.filter((list) => list !== 4 && this.expectedIds(list).length > 0);
    expect(counted.sort()).toEqual(open.map((list) => [list, Math.min(this.expectedIds(list).length, 1_000)]));
  }

  /** Stores lines as a version without shards stored them. */
  async storeEarlier(count: number): Promise<void> {
    await inside(this.shard(0), (_, { storage: { sql } }) => {
      const columns = "name TEXT PRIMARY KEY, list INTEGER, at INTEGER, until INTEGER, sent INTEGER, brief TEXT";
      sql.exec(`CREATE TABLE lines (${columns}) WITHOUT ROWID`);
      sql.exec("CREATE INDEX lines_by_place ON lines (list, at, name)");
      for (let i = 0; i < count; i++) {
        const name = `completion:early-${i}`;
        sql.exec("INSERT INTO lines VALUES (?, 0, ?, ?, 1, '{}')", name, -i, bench.now() + LATER_MS);
        this.expected.set(`early-${i}`, { list: 0, atMs: -i });
      }
    });
    // The object has not looked at its table yet.
    await this.crash(0);
  }

  async counts(): Promise<IndexCounts> {
    return outputOf(await (this.shard(0) as unknown as ObjectMethods).countIndex()) as unknown as IndexCounts;
  }

  async state(shard = 0): Promise<StoredState | undefined> {
    return inside(this.shard(shard), (_, { storage: { sql } }) => {
      if (sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'lines'").toArray().length === 0) return undefined;
      const [row] = sql.exec<{ brief: string }>("SELECT brief FROM lines WHERE name = ':shard'").toArray();
      return row === undefined ? undefined : JSON.parse(row.brief);
    });
  }

  /** Has a shard believe that it is large, until the returned function is called. */
  async fill(shard: number, bytes: number): Promise<() => Promise<void>> {
    await inside(this.shard(shard), (_, { storage: { sql } }) => {
      Object.defineProperty(sql, "databaseSize", { value: bytes, configurable: true });
    });
    return () =>
      inside(this.shard(shard), (_, { storage: { sql } }) => void Reflect.deleteProperty(sql, "databaseSize"));
  }

  /** Has the index begin to double: a message finds shard 0 too large. */
  async grow(): Promise<void> {
    await this.shard(0)
      .crash()
      .catch(() => {});
    const empty = await this.fill(0, LARGE_BYTES);
    const message = { ...this.message("grows", -1), shard: 0, keyPrefix: this.keyPrefix };
    const count = (await this.state())?.count ?? 1;
    for (let i = 0; (await this.state())?.target !== count * 2 && i < 30; i++) {
      const id = `grows-${i}`;
      await (this.shard(0) as unknown as ObjectMethods).indexLine({ ...message, id });
    }
    await empty();
  }

  /** Rings the alarms of all shards until no line has to move. */
  async finish(): Promise<number> {
    for (let round = 0; round < 20; round++) {
      bench.aheadMs += 30_001;
      const count = (await this.state())?.count ?? 1;
      for (let shard = 0; shard < count; shard++) await this.shard(shard).ring();
      const state = await this.state();
      if (state === undefined || state.isUnsettled !== true) return state?.count ?? 1;
    }
    throw new Error("the index does not settle");
  }

  crash(shard: number): Promise<void> {
    return crash(this.shard(shard));
  }

  /** Replaces the calls that a shard makes of others. */
  async intercept(shard: number, around: (call: () => unknown, kind: string) => unknown): Promise<void> {
    await inside(this.shard(shard), (object) => {
      const real = env.COORDINATOR;
      const get = (id: DurableObjectId) => {
        const stub = real.get(id) as unknown as ObjectMethods;
        return {
          indexShard: (call: Parameters<ObjectMethods["indexShard"]>[0]) =>
            around(() => stub.indexShard(call), call.kind),
          listIndex: (...args: Parameters<ObjectMethods["listIndex"]>) => around(() => stub.listIndex(...args), "list"),
          countIndex: (count: number) => around(() => stub.countIndex(count), "count"),
        };
      };
      Object.assign(object, { namespace: () => ({ idFromName: (name: string) => real.idFromName(name), get }) });
    });
  }
}
