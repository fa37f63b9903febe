import { expect, it } from "vitest";
import { checkTasks, type Tasks } from "../../src/trackers/registration.js";
import { specDigest } from "../../src/trackers/spec.js";

const handler = (payload: unknown) => ({ route: "handler:x", body: JSON.stringify(payload) });
const digest = (tasks: Tasks, targets?: Parameters<typeof specDigest>[2], policy = "all-settled") =>
  specDigest(checkTasks(tasks), policy, targets);

it("is the same whatever order tasks and a payload's keys come in", async () => {
  expect(await digest(["a", "b"])).toBe(await digest(["b", "a"]));
  const one = await digest(2, { complete: handler({ a: 1, b: { c: [1, 2], d: null } }) });
  expect(await digest(2, { complete: handler({ b: { d: null, c: [1, 2] }, a: 1 }) })).toBe(one);
  expect(one).toMatch(/^[0-9a-f]{64}$/);
});

it("differs by tasks, policy, target, payload and the end that it is for", async () => {
  const digests = await Promise.all([
    digest(0),
    digest([]),
    digest(2),
    digest({ indexed: 2 }),
    digest(["a", "b"]),
    digest(["a", "b", "c"]),
    digest(["a,b"]),
    digest(["1", "2"]),
    digest(2, undefined, "fail-fast"),
    digest(2, { complete: handler(1) }),
    digest(2, { complete: handler("1") }),
    digest(2, { complete: handler([1, 2]) }),
    digest(2, { complete: handler([2, 1]) }),
    digest(2, { timeout: handler(1) }),
    digest(2, { end: handler(1) }),
    digest(2, { complete: { route: "handler:y", body: "1" } }),
    digest(2, { complete: { route: "url", body: "https://a.example/" } }),
    digest(2, { complete: { route: "url", body: "https://b.example/" } }),
    digest(2, { complete: handler(1), timeout: handler(1) }),
  ]);
  expect(new Set(digests).size).toBe(digests.length);
});
