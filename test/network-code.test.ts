import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { HttpCoordinator } from "../src/backends/http/index.js";
import { UpstashCoordinator } from "../src/backends/upstash/index.js";
import { networkCode } from "../src/http/network-code.js";

/** An address of this machine without a listener. */
async function closed(): Promise<string> {
  const server = createServer();
  await new Promise<void>((done) => void server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return `http://127.0.0.1:${port}`;
}

it.each([
  ["Upstash", (url: string) => new UpstashCoordinator({ url, token: "token" })],
  ["the Worker", (url: string) => new HttpCoordinator({ url, token: "token" })],
])("says in a word why %s cannot be reached, and nothing else of the failure", async (who, make) => {
  const url = await closed();
  const error = await make(url)
    .getInt("n")
    .catch((reason: Error) => reason);
  expect(error).toMatchObject({ code: "backend_unavailable", retryable: true });
  expect(Object(error).cause).toBeUndefined();
  expect(String(error)).toMatch(/ \(ECONNREFUSED\)$/);
  expect(String(error)).toContain(who);
  expect(String(error)).not.toContain(new URL(url).port);
});

it.each([
  [{ cause: { code: "ENOTFOUND" } }, " (ENOTFOUND)"],
  [{ code: "UND_ERR_SOCKET" }, " (UND_ERR_SOCKET)"],
  [{ code: 20 }, ""],
  [{ code: "https://secret.example" }, ""],
  [{ code: "A_NAME_THAT_IS_FAR_TOO_LONG_TO_BE_ONE_OF_A_PLATFORM" }, ""],
  [new Error("secret"), ""],
  [undefined, ""],
])("reads a code, and no text: %o", (error, told) => {
  expect(networkCode(error)).toBe(told);
});
