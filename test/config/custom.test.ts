import { describe, expect, it } from "vitest";
import {
  type CustomBackend,
  type CustomBackends,
  createCoordinator,
  type ParsedConfig,
} from "../../src/config/index.js";
import { MemoryCoordinator } from "../../src/index.js";
import { messageOf, refusalOf } from "./refusal.js";

/** The coordinator that the backend `mine` makes. */
function make(mine: unknown) {
  return createCoordinator(
    { backend: "mine", customParams: { secret: "canary" } },
    { backends: { mine } as CustomBackends },
  );
}

describe("a custom backend", () => {
  it("receives the parsed config, and makes the coordinator", async () => {
    const coordinator = new MemoryCoordinator();
    const told: ParsedConfig[] = [];
    const mine: CustomBackend = {
      fromConfig(config) {
        told.push(config);
        return coordinator;
      },
    };
    expect(await make(mine)).toBe(coordinator);
    expect(told).toMatchObject([
      { backend: "mine", completionTimeoutSec: 1_800, customParams: { secret: "canary" }, upstash: { ttlSec: 3_600 } },
    ]);
  });

  it("may take its time", async () => {
    const coordinator = new MemoryCoordinator();
    expect(await make({ fromConfig: async () => coordinator })).toBe(coordinator);
  });

  it("may be a class with a static method", async () => {
    class Mine extends MemoryCoordinator {
      static fromConfig({ completionTimeoutSec }: ParsedConfig): Mine {
        return new this({ completionTimeoutSec });
      }
    }
    const coordinator = await make(Mine);
    expect(coordinator).toBeInstanceOf(Mine);
    expect(coordinator.completionTimeoutSec).toBe(1_800);
  });

  it("is left alone when it is not chosen", async () => {
    const mine: CustomBackend = { fromConfig: () => expect.unreachable("it was not chosen") };
    expect(await createCoordinator({ backend: "memory" }, { backends: { mine } })).toBeInstanceOf(MemoryCoordinator);
  });
});

describe("an unknown name", () => {
  it("is refused, with the names that there are, and is not shown itself", async () => {
    const backends: CustomBackends = { mine: { fromConfig: () => new MemoryCoordinator() } };
    expect(await messageOf(() => createCoordinator({ backend: "canary" }, { backends }))).toBe(
      "backend must be memory, upstash, durable-object, http, or a name in backends (mine)",
    );
    expect(await messageOf(() => createCoordinator({ backend: "canary" }))).toMatch(/in backends \(there is none\)$/);
  });

  it.each(["toString", "constructor", "__proto__", "Memory", "redis"])("is refused: %s", async (backend) => {
    expect(await messageOf(() => createCoordinator({ backend }))).toMatch(/^backend must be memory/);
    expect(await messageOf(() => createCoordinator({ backend }, { backends: {} }))).toMatch(/^backend must be memory/);
  });
});

describe("what is wrong with a custom backend is said", () => {
  it.each(["memory", "upstash", "durable-object", "http"])("a built-in backend's name: %s", async (name) => {
    const backends: CustomBackends = { [name]: { fromConfig: () => new MemoryCoordinator() } };
    for (const backend of [name, "memory", "other"]) {
      expect(await messageOf(() => createCoordinator({ backend }, { backends }))).toBe(
        `backends.${name} has the name of a built-in backend`,
      );
    }
  });

  it.each([undefined, null, {}, "canary", { fromConfig: "canary" }, { fromconfig: () => new MemoryCoordinator() }])(
    "no fromConfig: %j",
    async (backend) => {
      expect(await messageOf(() => make(backend))).toBe("backends.mine lacks fromConfig(config)");
    },
  );

  it.each([
    [
      "throws",
      (error: unknown) => () => {
        throw error;
      },
    ],
    ["rejects", (error: unknown) => () => Promise.reject(error)],
  ])("a fromConfig that %s, with the error as the cause", async (_, failing) => {
    for (const error of [new Error("canary: no such region"), "canary", { canary: 1 }]) {
      const refusal = await refusalOf(() => make({ fromConfig: failing(error) }));
      expect(refusal.message).toBe("backends.mine.fromConfig threw, see the cause");
      expect(refusal.cause).toBe(error);
    }
  });

  it.each([undefined, null, Promise.resolve(undefined)])("a fromConfig that returns nothing: %j", async (nothing) => {
    expect(await messageOf(() => make({ fromConfig: () => nothing }))).toBe(
      "backends.mine.fromConfig returned nothing",
    );
  });

  it.each([
    ["a text", "canary", "incr"],
    ["a client", { url: "canary", incr: () => 1 }, "getInt"],
    ["one whose wait is missing", Object.assign(new MemoryCoordinator(), { watch: undefined }), "watch"],
    ["the class itself", MemoryCoordinator, "incr"],
  ])("a fromConfig that returns no coordinator: %s", async (_, returned, lacking) => {
    expect(await messageOf(() => make({ fromConfig: () => returned }))).toBe(
      `backends.mine.fromConfig returned no coordinator: it lacks ${lacking}()`,
    );
  });

  it.each([null, "canary"])("backends that are no object: %j", async (backends) => {
    const options = { backends: backends as unknown as CustomBackends };
    expect(await messageOf(() => createCoordinator({}, options))).toBe("backends must be an object");
  });
});
