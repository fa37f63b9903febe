import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ServerProcess } from "../../demo/backends/server-process.js";

/** A server whose first start fails, as if another process had taken its port. It writes down which ports it was given. */
const SERVER = `
import { appendFileSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
process.once("disconnect", () => process.exit());
process.once("message", ({ log, failures, port }) => {
  appendFileSync(log, port + "\\n");
  if (readFileSync(log, "utf8").trim().split("\\n").length <= failures) {
    console.error("Address already in use");
    process.send({ type: "failed", message: "the runtime failed to start" });
    return;
  }
  createServer((_, response) => response.end("here")).listen(port, "127.0.0.1", () => process.send({ type: "ready" }));
});
`;

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "edge-coordinator-server-"));
  file = join(folder, "server.mjs");
  await writeFile(file, SERVER);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const portsOf = async (log: string): Promise<string[]> => (await readFile(log, "utf8")).trim().split("\n");

describe("a server of the demo", () => {
  it("starts on another free port when the first one was taken meanwhile", async () => {
    const log = join(folder, "one");
    const server = await ServerProcess.start(file, { log, failures: 1 }, { name: "a server", port: 0 });
    expect(await (await fetch(server.url)).text()).toBe("here");
    const ports = await portsOf(log);
    expect(ports.length).toBe(2);
    expect(server.url).toBe(`http://127.0.0.1:${ports[1]}`);
    await server.close();
  });

  it("says after three ports why it does not start", async () => {
    const log = join(folder, "three");
    const start = ServerProcess.start(file, { log, failures: 9 }, { name: "a server", port: 0 });
    await expect(start).rejects.toThrow("a server does not start: the runtime failed to start\nAddress already in use");
    expect((await portsOf(log)).length).toBe(3);
  });

  it("keeps to the port that a person chose", async () => {
    const log = join(folder, "chosen");
    const free = await ServerProcess.start(file, { log: join(folder, "free"), failures: 0 }, { name: "it", port: 0 });
    await free.close();
    const port = Number(new URL(free.url).port);
    await expect(ServerProcess.start(file, { log, failures: 9 }, { name: "a server", port })).rejects.toThrow(
      "does not",
    );
    expect(await portsOf(log)).toEqual([`${port}`]);
  });
});
