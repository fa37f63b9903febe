import { expect, it } from "vitest";
import { fingerprint } from "../../src/trackers/group/fingerprint.js";
import { checkTasks, type Tasks } from "../../src/trackers/group/registration.js";

const handler = (payload: unknown) => ({ route: "handler:x", body: JSON.stringify(payload) });

type More = Partial<Omit<Parameters<typeof fingerprint>[0], "tasks">>;

const print = (tasks: Tasks, more: More = {}) => {
  const none = { isOpen: false, policy: undefined, targets: undefined, parent: undefined };
  return fingerprint({ ...none, ...more, tasks: checkTasks(tasks, more.isOpen === true) });
};

it("is the same whatever order tasks and a payload's keys come in", async () => {
  expect(await print(["a", "b"])).toBe(await print(["b", "a"]));
  const staged = [
    { stage: "parse", id: "a" },
    { stage: "embed", id: "a", group: "child" },
  ];
  expect(await print(staged)).toBe(await print(staged.reverse()));
  const one = await print(2, { targets: { complete: handler({ a: 1, b: { c: [1, 2], d: null } }) } });
  expect(await print(2, { targets: { complete: handler({ b: { d: null, c: [1, 2] }, a: 1 }) } })).toBe(one);
  const policy = { minSuccessful: 1, toleratedFailureCount: 2 };
  const reversed = { toleratedFailureCount: 2, minSuccessful: 1 };
  expect(await print(2, { policy })).toBe(await print(2, { policy: reversed }));
  expect(one).toMatch(/^[0-9a-f]{64}$/);
});

it("differs by tasks, stages, children, policy, parent, target, payload and the end that it is for", async () => {
  const prints = await Promise.all([
    print(0),
    print([]),
    print([], { isOpen: true }),
    print(2),
    print({ indexed: 2 }),
    print(["a", "b"]),
    print(["a", "b"], { isOpen: true }),
    print(["a", "b", "c"]),
    print(["a,b"]),
    print(["1", "2"]),
    print([{ stage: "a", id: "b" }]),
    print([{ stage: "b", id: "a" }]),
    print([{ id: "a", group: "b" }]),
    print([{ id: "a", group: { requestId: "b" } }]),
    print(2, { policy: { toleratedFailureCount: 0 } }),
    print(2, { policy: { toleratedFailurePpm: 0 } }),
    print(2, { policy: { minSuccessful: 1 } }),
    print(2, { policy: { minSuccessful: 2 } }),
    print(2, { parent: '{"id":"a"}' }),
    print(2, { parent: '{"id":"b"}' }),
    print(2, { targets: { success: handler(1) } }),
    print(2, { targets: { failure: handler(1) } }),
    print(2, { targets: { complete: handler(1) } }),
    print(2, { targets: { complete: handler("1") } }),
    print(2, { targets: { complete: handler([1, 2]) } }),
    print(2, { targets: { complete: handler([2, 1]) } }),
    print(2, { targets: { timeout: handler(1) } }),
    print(2, { targets: { end: handler(1) } }),
    print(2, { targets: { complete: { route: "handler:y", body: "1" } } }),
    print(2, { targets: { complete: { route: "url", body: "https://a.example/" } } }),
    print(2, { targets: { complete: { route: "url", body: "https://b.example/" } } }),
    print(2, { targets: { complete: handler(1), timeout: handler(1) } }),
  ]);
  expect(new Set(prints).size).toBe(prints.length);
});
