import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CompletionTracker, type HandlerEvent, type Handlers, RequestWaitTracker } from "../../src/index.js";
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
      stdout: expect.stringMatching(/^The deadline is in 30 minutes/),
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
    expect(below.stdout).toContain("Its end will settle the task images of group book.");
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

  it("two stages have a task of one id: each is shown with its own child", async () => {
    const { coordinator, cli } = upstashBackend();
    const tracker = new CompletionTracker(coordinator);
    const tasks = [
      { stage: "parse", id: "a", group: "parsing" },
      { stage: "embed", id: "a" },
    ];
    await tracker.register("shelf", tasks);
    await tracker.register("parsing", ["1"], { parent: { groupId: "shelf", stage: "parse", taskId: "a" } });
    const embed = { groupId: "shelf", stage: "embed", taskId: "a" };
    await tracker.register("a", ["1"], { parent: embed });

    const { stdout } = await cli("why", "shelf");
    expect(stdout).toContain("The open task parse/a waits for the child group parsing: open, 1 of 1 task open.");
    expect(stdout).toContain("The open task embed/a waits for the child group a: open, 1 of 1 task open.");
    expect(stdout.match(/group a:/g)).toHaveLength(1);

    // The child of an earlier generation settles nothing any more.
    await tracker.register("old", ["x"]);
    await tracker.register("x", ["1"], { parent: { groupId: "old", taskId: "x", generation: 1 } });
    await tracker.register("old", ["x"], { restart: true });
    expect((await cli("why", "old")).stdout).toContain("The open task x is not settled by the end of group x:");
    expect((await cli("why", "x")).stdout).toContain(
      "will settle the task x of group old, if that is in generation 1.",
    );
  });

  it("a request's worker died, and its handler was renamed: both are named, and mended", async () => {
    const { newCoordinator, cli } = upstashBackend();
    const deployed = newCoordinator();
    const renamed: Handlers = { tellUser: () => {} };
    const options = { stages: ["embed"], onEvent: () => {} } as const;
    const requests = new RequestWaitTracker(deployed, { ...options, handlers: renamed });
    await requests.register("upload", { timeoutSec: 300, onEnd: { handler: "notifyUser" } });
    await requests.add("upload", "embed", ["a", "b"]);
    await requests.fail("upload", "embed", "a", "the model is overloaded");

    const stuck = await cli("ls", "--request", "--state", "stuck", "--older-than", "0s");
    expect(stuck.stdout).toMatch(/^upload +pending +1\/2/m);
    const why = (await cli("why", "upload", "--request")).stdout;
    expect(why).toMatch(/^request upload waits for 1 of 2 tasks\.\n/);
    expect(why).toContain("Open: embed/b.");
    expect(why).toContain("npx edge-coordinator retry upload --request --failed");
    expect((await cli("retry", "upload", "--request", "--failed")).code).toBe(0);
    await requests.ack("upload", "embed", "a");
    await requests.ack("upload", "embed", "b");
    expect((await cli("seal", "upload", "--request", "--yes")).stdout).toContain("it is complete");

    await expect
      .poll(async () => (await deployed.drain()) && (await requests.status("upload"))?.delivery.lastError)
      .not.toBeNull();
    expect((await cli("why", "upload", "--request")).stdout).toContain('has a handler named "notifyUser".');
    const told: unknown[] = [];
    const next = newCoordinator();
    new RequestWaitTracker(next, { ...options, handlers: { notifyUser: () => void told.push("upload") } });
    expect((await cli("redeliver", "upload", "--request")).code).toBe(0);
    await next.drain();
    expect(told).toEqual(["upload"]);
  });

  it("a request waits for a child group, and its receiver is gone: both are found, and mended", async () => {
    const { coordinator, cli } = worker;
    status = 410;
    const requests = new RequestWaitTracker(coordinator, { stages: ["scan"] });
    await requests.register("upload", { onEnd: { url: hookUrl } });
    await requests.add("upload", "scan", "pages");
    const parent = { requestId: "upload", stage: "scan", taskId: "pages" };
    await new CompletionTracker(coordinator).register("pages", ["1"], { parent });

    const why = (await cli("why", "upload", "--request")).stdout;
    expect(why).toContain("The open task scan/pages waits for the child group pages: open, 1 of 1 task open.");
    expect((await cli("show", "pages")).stdout).toMatch(/parent +the task scan\/pages of request upload/);
    expect((await cli("cancel", "pages", "--reason", "page 1 is lost", "--yes")).code).toBe(0);
    expect((await cli("watch", "upload", "--request")).stdout).toContain("complete: 1 of 1 task, 1 failed, complete");
    expect((await cli("seal", "upload", "--request", "--yes")).code).toBe(0);

    await expect.poll(async () => (await requests.status("upload"))?.delivery.state).toBe("dead");
    expect((await cli("why", "upload", "--request")).stdout).toMatch(/answered 410/);
    status = 204;
    expect((await cli("redeliver", "upload", "--request")).code).toBe(0);
    await expect.poll(async () => (await cli("show", "upload", "--request")).stdout).toMatch(/callback +delivered/);
  });
});
