import { expect, it } from "vitest";
import { requestEvents } from "../../src/hono/request-events.js";
import { MemoryCoordinator, RequestWaitTracker } from "../../src/index.js";

const ID = "request-1";

it("events and progress both end with the request, and not while another task may open it again", async () => {
  const requests = new RequestWaitTracker(new MemoryCoordinator(), { stages: ["s"] });
  const source = requestEvents(ID, { id: ID, newer: (after, options) => requests.newer(ID, after, options) });
  await requests.register(ID);
  const progress = requests.progress(ID);
  const next = async () => {
    const { value: status } = await progress.next();
    if (status === undefined) throw new Error("the progress is over");
    const { name, isLast, data } = source.eventOf(status);
    return { name, isLast, ...data };
  };
  await requests.add(ID, "s", "a");
  await requests.ack(ID, "s", "a");
  expect(await next()).toMatchObject({ name: "progress", isLast: false, state: "complete", final: false });
  await requests.add(ID, "s", "b");
  expect(await next()).toMatchObject({ name: "progress", isLast: false, state: "pending", open: 1 });
  await requests.ack(ID, "s", "b");
  await requests.seal(ID);
  expect(await next()).toMatchObject({ name: "complete", isLast: true, state: "complete", final: true });
  expect(await progress.next()).toEqual({ done: true, value: undefined });
  expect(await requests.wait(ID)).toMatchObject({ state: "complete", final: true });
});
