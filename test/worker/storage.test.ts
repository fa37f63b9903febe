import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { startWorker } from "../support/worker-process.js";
import { clientOf, TOKEN } from "./client.js";

/** How many objects have made their tables: a platform's empty file is none. */
function tablesIn(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.sqlite(-wal)?$/.test(name))
    .filter((name) => readFileSync(join(folder, name), "latin1").includes("CREATE TABLE records")).length;
}

it("reading ids that nobody has written stores nothing, and neither does what is refused", async () => {
  const folder = mkdtempSync(join(tmpdir(), "edge-coordinator-"));
  const worker = await startWorker({ vars: { COORDINATOR_TOKEN: TOKEN }, persistDir: folder });
  try {
    const call = clientOf(worker.url);
    await call("GET", "/v1/groups/a");
    await call("GET", "/v1/groups/b", { headers: { prefer: "wait=1" } });
    await call("GET", "/v1/groups/c/results");
    await call("POST", "/v1/groups/d/cancel", { body: { reason: "" } });
    await call("POST", "/v1/groups/e/redeliver");
    await call("POST", "/v1/groups/f/decrement", { body: {} });
    await call("PUT", "/v1/groups/g", { body: { total: 1, restart: { from: 1 } } });
    await call("PUT", "/v1/groups/h", { body: { total: -1 } });
    await call("PUT", "/v1/groups/i", { body: { total: 1 }, token: "a-token-that-is-unknown" });
    for (const read of ["kv/getInt", "kv/scard", "kv/lrange", "completion/status"]) {
      await call("POST", `/v1/run/${read}`, { body: { id: "j", input: {} } });
    }
    expect(tablesIn(folder)).toBe(0);
    await call("PUT", "/v1/groups/k", { body: { total: 1 } });
    expect(tablesIn(folder)).toBe(1);
  } finally {
    await worker.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
