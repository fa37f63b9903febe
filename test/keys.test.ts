import type { Context } from "hono";
import { describe, expect, it } from "vitest";
import { storeName } from "../src/backends/custom/names.js";
import { keysOf } from "../src/backends/upstash/keys.js";
import type { MachineName } from "../src/core/registry.js";
import { recordIdOf } from "../src/hono/request-id.js";
import { CoordinationError, MemoryCoordinator } from "../src/index.js";
import { checkId, checkKeyPrefix } from "../src/lib/validate.js";
import { joinParts, placeOf, recordName } from "../src/runtime/placement.js";
import { seededRandom } from "../src/testing/index.js";
import { smallId } from "../src/trackers/small-key.js";
import { outcomeOf } from "./backends/faults/operation.js";
import { OPERATIONS } from "./backends/faults/operations.js";
import { count, reached } from "./support/figures.js";

const PAIRS = 100_000;
const SEED = 1;
/** Digests are made by other threads: so many pairs share the way there and back. */
const AT_ONCE = 500;
const MACHINES = ["kv", "completion", "request", "coalesce", "dedupe", "stats"] as const;
/** Operations that take no id. */
const WITHOUT_ID = new Set(["Coordinator.drain", "CompletionTracker.list", "RequestWaitTracker.list"]);
/** What ids are made of that try to reach over a border. */
const PIECES = [
  ..."ab01:|{}/%.#?&= ",
  "__proto__",
  "constructor",
  "\u0000",
  "\r\n",
  "é",
  "e\u0301",
  "🙂",
  "\ufffd",
  "1:a",
  "0:",
  "{kv}",
  "kv:",
  "completion:",
  "%2F",
  "../",
  "x".repeat(60),
];

/** What a key is built of. Every builder reads some of it. */
interface Parts {
  readonly machine: MachineName;
  readonly prefix: string;
  readonly scope: string;
  readonly id: string;
}

const random = seededRandom(SEED);
const below = (n: number): number => Math.floor(random() * n);
const pick = <T>(all: readonly T[]): T => all[below(all.length)] as T;
const text = (most: number): string => Array.from({ length: 1 + below(most) }, () => pick(PIECES)).join("");
const isPrefix = (prefix: string): boolean => !/[{}]/.test(prefix);

function randomParts(): Parts {
  return { machine: pick(MACHINES), prefix: text(2).replaceAll(/[{}]/g, ""), scope: text(3), id: text(3) };
}

/** A key, and one that its id holds whole: what stands before that one is taken for a prefix, if it may be one. */
function nested({ machine, prefix, scope, id }: Parts, key: (prefix: string, id: string) => string): [Parts, Parts] {
  const inner = key("", id);
  const outer = { machine, prefix, scope, id: scope + inner };
  const whole = key(prefix, outer.id);
  const before = whole.slice(0, whole.length - inner.length);
  return [outer, isPrefix(before) ? { machine, prefix: before, scope, id } : randomParts()];
}

function pair(): [Parts, Parts] {
  const left = randomParts();
  switch (below(8)) {
    case 0:
      return nested(left, (prefix, id) => keysOf(prefix, left.machine, id).record);
    case 1:
      return nested(left, (prefix, id) => prefix + placeOf(left.machine, id));
    default:
      return [left, alike(left)];
  }
}

/** Others that look alike: a border that was moved, a part that took another's place, or anything. */
function alike({ machine, prefix, scope, id }: Parts): Parts {
  const cut = below(id.length);
  switch (below(6)) {
    case 0:
      return { machine, prefix, scope: scope + id.slice(0, cut), id: id.slice(cut) || "a" };
    case 1:
      return { machine, prefix, scope: id, id: scope };
    case 2: {
      const moved = prefix + id.slice(0, cut);
      return isPrefix(moved) ? { machine, prefix: moved, scope, id: id.slice(cut) || "a" } : randomParts();
    }
    case 3:
      return { machine: pick(MACHINES), prefix, scope, id: `${machine}:${id}` };
    case 4:
      return { machine, prefix, scope, id: pick([id, id.normalize("NFC"), id.toUpperCase(), `${id}\u0000`, `${id} `]) };
    default:
      return randomParts();
  }
}

/** A half surrogate that a cut left over has no UTF-8 form, and is refused. */
const isSound = ({ prefix, scope, id }: Parts): boolean =>
  [prefix, scope, id].every((part) => !/\p{Surrogate}/u.test(part));

interface Builder {
  /** The key. */
  readonly build: (parts: Parts) => string | Promise<string>;
  /** What must have keys of its own. */
  readonly of: (parts: Parts) => readonly string[];
}

const isAlone = (machine: MachineName): boolean => !["kv", "coalesce", "dedupe"].includes(machine);
const publicOf = (id: string): string => Buffer.from(id).toString("hex").slice(0, 128);

/** Every function that makes a key, a name or a path of what callers send. */
const BUILDERS: Readonly<Record<string, Builder>> = {
  "a record's name": {
    build: ({ machine, id }) => recordName(machine, id),
    of: ({ machine, id }) => [machine, id],
  },
  "a custom backend's name": {
    build: ({ machine, id }) => storeName(machine, id),
    of: ({ machine, id }) => [machine, id],
  },
  "the parts of an id": {
    build: ({ scope, id, prefix }) => joinParts([scope, id, prefix]),
    of: ({ scope, id, prefix }) => [scope, id, prefix],
  },
  "the id of a claim or a version": {
    build: ({ scope, id, prefix }) => smallId("n", [scope, id, prefix]),
    of: ({ scope, id, prefix }) => [scope, id, prefix],
  },
  "the namespace of a claim": {
    build: ({ scope, id }) => smallId(scope, id),
    of: ({ scope, id }) => [scope, id],
  },
  "a Redis key": {
    build: ({ prefix, machine, id }) => keysOf(prefix, machine, id).record,
    of: ({ prefix, machine, id }) => [prefix, machine, id],
  },
  "an object's name": {
    build: ({ prefix, machine, id }) => prefix + placeOf(machine, id),
    // Small records share an object on purpose: with their own prefix's alone.
    of: ({ prefix, machine, id }) => (isAlone(machine) ? [prefix, machine, id] : [prefix, placeOf(machine, id)]),
  },
  "an object's name with its record's": {
    build: ({ prefix, machine, id }) => JSON.stringify([prefix + placeOf(machine, id), recordName(machine, id)]),
    of: ({ prefix, machine, id }) => [prefix, machine, id],
  },
  "a request's id within its scope": {
    build: ({ scope, id }) => recordIdOf({} as Context, () => scope, publicOf(id)),
    of: ({ scope, id }) => [scope, publicOf(id)],
  },
  "a path of the Worker": {
    build: ({ id }) => new URL(`https://worker.example/v1/groups/${encodeURIComponent(id)}/acks`).pathname,
    of: ({ id }) => [id],
  },
};

describe("keys", () => {
  it(`are injective, whatever ids hold: ${count(PAIRS)} random pairs`, async ({ task }) => {
    let [different, collisions] = [0, 0];
    const found: string[] = [];
    const compare = async ([left, right]: [Parts, Parts], name: string, { build, of }: Builder): Promise<void> => {
      const isSame = JSON.stringify(of(left)) === JSON.stringify(of(right));
      const [a, b] = [build(left), build(right)];
      const isEqual = typeof a === "string" ? a === b : (await a) === (await b);
      if (!isSame) different++;
      if (isEqual !== isSame) {
        collisions++;
        if (found.length < 5) found.push(`${name}: ${JSON.stringify([left, right])}`);
      }
    };
    for (let from = 0; from < PAIRS; from += AT_ONCE) {
      const pairs = Array.from({ length: Math.min(AT_ONCE, PAIRS - from) }, pair).filter(([, right]) => isSound(right));
      const comparisons = pairs.flatMap(([left, right]) =>
        Object.entries(BUILDERS)
          // URL parsers take these for steps within the path: no request with such an id arrives anywhere.
          .filter(([name]) => name !== "a path of the Worker" || !/^\.{1,2}$/.test(left.id + right.id))
          .map(([name, builder]) => compare([left, right], name, builder)),
      );
      await Promise.all(comparisons);
    }
    const builders = Object.keys(BUILDERS).length;
    reached(task, {
      row: "S4",
      reached: `${count(PAIRS)} random pairs (seed ${SEED}) through ${builders} key builders, ${collisions} collisions`,
    });
    expect(found).toEqual([]);
    expect(different).toBeGreaterThan(PAIRS * builders * 0.7);
  });

  it("a prefix and an id that would break them are refused", () => {
    for (const prefix of ["a{", "}", "\ud800"]) expect(() => checkKeyPrefix(prefix, "keyPrefix")).toThrow();
    for (const id of ["", "\ud800", "a\udc00", "x".repeat(2 ** 20)]) expect(() => checkId(id, "id")).toThrow();
  });
});

describe("every operation", () => {
  const named = (c: MemoryCoordinator, id: string) => ({
    c,
    id,
    hook: "https://hooks.example/",
    hooked: () => 0,
    settle: () => new Promise<void>((resolve) => setTimeout(resolve, 20)),
    waitMs: 0,
    memo: {},
  });

  it.each([
    ["of 1 MB", "x".repeat(2 ** 20)],
    ["with half of a surrogate pair", "a\ud800"],
  ])("refuses an id %s", async (_, id) => {
    const c = new MemoryCoordinator();
    for (const { run, method } of OPERATIONS.filter((operation) => !WITHOUT_ID.has(operation.method))) {
      const outcome = await outcomeOf(run(named(c, id)));
      expect([method, outcome]).toEqual([method, { error: expect.any(CoordinationError) }]);
      expect(outcome).toMatchObject({ error: { code: "invalid_input", applied: "no" } });
    }
  });

  it("takes any other, and keeps it apart from those that look alike", async () => {
    const ids = [
      "__proto__",
      "constructor",
      "{a}",
      "{a",
      "a|b",
      "a:b",
      "a\u0000",
      "a",
      "é",
      "e\u0301",
      "kv:a",
      "..",
      "%61",
    ];
    // The time that a key lives is none of its name's.
    for (const { run, observe, prepare } of OPERATIONS.filter(({ method }) => method !== "Coordinator.expire")) {
      const [shared, alone] = [new MemoryCoordinator(), ids.map(() => new MemoryCoordinator())];
      const together = ids.map((id) => named(shared, id));
      const apart = ids.map((id, i) => named(alone[i] ?? shared, id));
      for (const place of [...together, ...apart]) {
        await prepare?.(place);
        await run(place);
      }
      for (const [i, place] of together.entries()) {
        const wanted = await observe(apart[i] ?? place);
        expect(shape(await observe(place))).toEqual(shape(wanted));
      }
    }
  });
});

/** Without instants. */
function shape(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, field) => (typeof field === "number" && field > 1e12 ? "at" : field)) ?? "0",
  );
}
