import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { commandOf, type Env, RunningCommand } from "./command.js";

/** Reads the variables that `dev` prints. */
function printedEnv(stdout: string): Env {
  return Object.fromEntries([...stdout.matchAll(/^export (\w+)=(\S+)$/gm)].map(([, name, value]) => [name, value]));
}

describe.each([
  ["the Worker", [], "COORDINATOR_URL"],
  ["a local Redis", ["--redis"], "UPSTASH_REDIS_REST_URL"],
])("dev with %s", (_, options, variable) => {
  it("prints the variables, has groups to look at, and ends at Ctrl-C", async () => {
    const dev = new RunningCommand({}, ["dev", "--port", "0", ...options]);
    await dev.says("why stuck-1");
    const env = printedEnv(dev.stdout);
    expect(Object.keys(env)[0]).toBe(variable);
    const cli = commandOf(env);

    const why = async (id: string) => (await cli("why", id)).stdout;
    expect(await why("open-1")).toMatch(/^group open-1 waits for 2 of 3 tasks\.\n/);
    expect(await why("ended-1")).toMatch(/^group ended-1 has completed\./);
    expect(await why("stuck-1")).toContain("waits for the child group stuck-1/images");
    await expect.poll(() => why("unhandled-1")).toContain('named "publish"');
    await expect.poll(() => why("dead-1")).toContain("dead letter: it is not tried again");

    const request = await cli("why", "request-1", "--request");
    expect(request.stdout).toContain("waits for the child group request-1/a");

    dev.kill("SIGINT");
    expect(await dev.ended()).toMatchObject({ code: 130 });
    expect((await cli("show", "open-1")).code).toBe(4);
  });
});

describe("dev", () => {
  it("says that a port is in use", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    const { port } = holder.address() as AddressInfo;
    const { code, stderr } = await new RunningCommand({}, ["dev", "--redis", "--port", String(port)]).ended();
    expect([code, stderr]).toEqual([2, expect.stringContaining("the port is in use")]);
    holder.close();
  });

  it("says what is missing, without redis-server", async () => {
    const { code, stderr } = await new RunningCommand({ PATH: "/nowhere" }, ["dev", "--redis"]).ended();
    expect([code, stderr]).toEqual([2, expect.stringContaining("needs redis-server")]);
  });
});
