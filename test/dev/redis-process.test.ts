import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "@upstash/redis";
import { Redis as TcpRedis } from "ioredis";
import { expect, it, vi } from "vitest";
import { startRedis, startRestServer } from "../../dev/redis-rest/index.js";

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** `npm run redis` without npm, once it has said where it is. */
async function startCli(): Promise<{ cli: ChildProcess; url: string; token: string; redisUrl: string }> {
  const cli = spawn(process.execPath, ["--import", "tsx", "dev/redis-rest/cli.ts"], {
    env: { ...process.env, PORT: "0", UPSTASH_REDIS_REST_TOKEN: "cli-token" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let printed = "";
  cli.stdout?.on("data", (chunk) => {
    printed += chunk;
  });
  await expect.poll(() => printed).toContain("Ctrl-C");
  const find = (pattern: RegExp) => pattern.exec(printed)?.[1] ?? "";
  return {
    cli,
    url: find(/^UPSTASH_REDIS_REST_URL=(.*)$/m),
    token: find(/^UPSTASH_REDIS_REST_TOKEN=(.*)$/m),
    redisUrl: find(/(redis:\S+);/),
  };
}

async function serverPid(redisUrl: string): Promise<number> {
  const tcp = new TcpRedis(redisUrl);
  const info = await tcp.info("server");
  tcp.disconnect();
  return Number(/process_id:(\d+)/.exec(info)?.[1]);
}

it("starts a redis-server that keeps nothing and leaves nothing", async () => {
  const redis = await startRedis();
  const tcp = new TcpRedis(redis.url);
  const [, folder = ""] = (await tcp.config("GET", "dir")) as string[];
  expect(await tcp.config("GET", "save")).toEqual(["save", ""]);
  tcp.disconnect();
  await redis.close();
  await redis.close();
  expect(isAlive(redis.pid)).toBe(false);
  expect(existsSync(folder)).toBe(false);
});

it("names the fault when the port is taken", async () => {
  const redis = await startRedis();
  await expect(startRedis({ port: redis.port })).rejects.toThrow(/Address already in use/);
  await redis.close();
});

it("says what to run when redis-server is missing", async () => {
  const bin = await mkdtemp(join(tmpdir(), "edge-coordinator-bin-"));
  await symlink("/bin/sh", join(bin, "sh"));
  vi.stubEnv("PATH", bin);
  await expect(startRedis()).rejects.toThrow(/npm run setup/);
  vi.unstubAllEnvs();
  await rm(bin, { recursive: true });
});

it("answers 500 while the redis-server is away, and again when it is back", async () => {
  const first = await startRedis();
  const rest = await startRestServer({ redisUrl: first.url, token: "t" });
  const ping = () => fetch(rest.url, { method: "POST", body: '["PING"]', headers: { authorization: "Bearer t" } });
  expect((await ping()).status).toBe(200);
  await first.close();
  expect((await ping()).status).toBe(500);
  const second = await startRedis({ port: first.port });
  await expect.poll(async () => (await ping()).status).toBe(200);
  await rest.close();
  await second.close();
});

it("prints what a client needs, and ends with its redis-server on Ctrl-C", async () => {
  const { cli, url, token, redisUrl } = await startCli();
  expect(await new Redis({ url, token }).ping()).toBe("PONG");
  const pid = await serverPid(redisUrl);
  const exited = once(cli, "exit");
  cli.kill("SIGINT");
  expect(await exited).toEqual([0, null]);
  expect(isAlive(pid)).toBe(false);
});

it("does not leave its redis-server behind when it is killed", async () => {
  const { cli, redisUrl } = await startCli();
  const pid = await serverPid(redisUrl);
  const exited = once(cli, "exit");
  cli.kill("SIGKILL");
  await exited;
  await expect.poll(() => isAlive(pid)).toBe(false);
});
