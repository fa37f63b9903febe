import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CompletionTracker, type HandlerEvent, type Handlers } from "../../src/index.js";
import { type CliBackend, upstashBackend, workerBackend } from "./backends.js";

/** A receiver of webhooks: gone at first, then healthy. */
let receiver: Server;
let status = 410;
const received: string[] = [];
let worker: CliBackend;
let hookUrl: string;

beforeAll(async () => {
  receiver = createServer((request, response) => {
    received.push(String(request.headers["webhook-id"]));
    request.resume().once("end", () => response.writeHead(status).end());
  }).listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const { port } = receiver.address() as AddressInfo;
  hookUrl = `http://127.0.0.1:${port}/hooks`;
  worker = await workerBackend({
    WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 7).toString("base64")}`,
    WEBHOOK_ALLOWED_HOSTS: `127.0.0.1:${port}`,
    WEBHOOK_ALLOW_HTTP: "true",
  });
});
afterAll(async () => {
  await worker.close();
  receiver.close();
});

describe("at 3 a.m., with the command line alone", () => {
  it("a worker died: the open task is named, and the group gets more time", async () => {
    const { coordinator, cli } = upstashBackend();
    const tracker = new CompletionTracker(coordinator);
    await tracker.register("report", ["a", "b", "c"], { timeoutSec: 300 });
    await tracker.ack("report", "a");
    await tracker.fail("report", "c", "the model is overloaded");
    // The worker of b died with the message: no ack comes.

    const why = await cli("why", "report");
    expect(why).toMatchObject({ code: 0, stderr: "" });
    expect(why.stdout).toMatch(/^group report waits for 1 of 3 tasks\.\n/);
    expect(why.stdout).toContain("Open: b.");
    expect(why.stdout).toContain('The first error of c: "the model is overloaded"');
    expect(why.stdout).toMatch(/It times out in 4 minutes/);
    expect(why.stdout).toContain("npx edge-coordinator extend report --by 30m");

    expect(await cli("extend", "report", "--by", "30m")).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^The deadline is in (29|30) minutes/),
    });
    expect(await cli("retry", "report", "--failed")).toMatchObject({
      code: 0,
      stdout: "1 task of 1 opened again. Send them to your workers again.\n",
    });
    await tracker.ack("report", ["b", "c"]); // the queue delivers the messages again
    expect(await cli("watch", "report")).toMatchObject({ code: 0, stdout: "completed: 3 of 3 tasks, completed\n" });
  });

  it("a handler was renamed: its old name is shown, and the callback runs once it is back", async () => {
    const { newCoordinator, cli } = upstashBackend();
    const deployed = newCoordinator();
    const renamed: Handlers = { publishDocument: () => {} };
    const tracker = new CompletionTracker(deployed, { handlers: renamed, onEvent: () => {} });
    await tracker.register("report", ["a"], { onEnd: { handler: "publish" } });
    await tracker.ack("report", "a");
    await expect
      .poll(async () => (await deployed.drain()) && (await tracker.status("report"))?.delivery.lastError)
      .not.toBeNull();

    const why = await cli("why", "report");
    expect(why.stdout).toMatch(/^group report has completed\. Its callback is not made yet\.\n/);
    expect(why.stdout).toContain('No process that drains has a handler named "publish".');
    expect(why.stdout).toContain("npx edge-coordinator redeliver report");

    const published: unknown[] = [];
    const next = newCoordinator(); // the next version has the old name again
    new CompletionTracker(next, {
      handlers: { publish: ({ deliveryId }: HandlerEvent) => void published.push(deliveryId) },
      onEvent: () => {},
    });
    expect(await cli("redeliver", "report")).toMatchObject({ code: 0, stdout: expect.stringContaining("is pending") });
    await next.drain();
    expect(published).toEqual([(await tracker.status("report"))?.delivery.deliveryId]);
    expect((await cli("why", "report")).stdout).toContain("its callback was made. Nothing is left to wait for.");
  });

  it("a webhook receiver is gone: the dead letter is named, and delivered once the receiver is back", async () => {
    const { coordinator, cli } = worker;
    const tracker = new CompletionTracker(coordinator);
    await tracker.register("report", ["a"], { onEnd: { url: hookUrl } });
    await tracker.ack("report", "a");
    await expect.poll(async () => (await tracker.status("report"))?.delivery.state).toBe("dead");

    const why = await cli("why", "report");
    expect(why.stdout).toMatch(/^group report has completed, but its callback is a dead letter/);
    expect(why.stdout).toMatch(/The last error: "webhook to 127\.0\.0\.1:\d+: answered 410"/);

    status = 204;
    expect((await cli("redeliver", "report")).code).toBe(0);
    await expect.poll(async () => (await cli("show", "report")).stdout).toMatch(/callback +delivered/);
    expect(new Set(received).size).toBe(1);
  });

  it("a child group hangs: it is found by the parent's task, and its end completes the parent", async () => {
    const { coordinator, cli } = worker;
    const tracker = new CompletionTracker(coordinator);
    await tracker.register("book", ["text", { id: "images", group: "pictures" }]);
    await tracker.register("pictures", ["1", "2"], { parent: { groupId: "book", taskId: "images" } });
    await tracker.ack("book", "text");
    await tracker.ack("pictures", "1");

    const why = await cli("why", "book");
    expect(why.stdout).toContain("The open task images waits for the child group pictures: open, 1 of 2 tasks open.");
    expect(why.stdout).toContain("npx edge-coordinator why pictures");
    const below = await cli("why", "pictures");
    expect(below.stdout).toContain("The task images of group book waits for it.");
    expect(below.stdout).toContain("Open: 2.");

    const cancelled = await cli("cancel", "pictures", "--reason", "page 2 is missing", "--yes");
    expect(cancelled).toMatchObject({ code: 0, stdout: 'group pictures is cancelled: "page 2 is missing"\n' });
    const end = await cli("watch", "book");
    expect(end).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("completed: 2 of 2 tasks, 1 failed, completed"),
    });
    expect((await cli("show", "book")).stdout).toContain("page 2 is missing");
  });
});
