import { describe, expect, it } from "vitest";
import { faultOfObject, faultOfRedis, faultOfStatus, faultOfStorage } from "../src/http/remote-faults.js";

describe("row 59: an HTTP status that passes by itself", () => {
  it.each([
    // A proxy gives up on a request, or finds it in another's way: the server may have had it.
    [408, "backend_unavailable", "unknown"],
    [409, "backend_unavailable", "unknown"],
    // The server says that it did not process it.
    [425, "backend_unavailable", "no"],
    [429, "rate_limited", "no"],
    ...[500, 502, 503, 504, 520, 522, 524, 530].map((status) => [status, "backend_unavailable", "unknown"] as const),
  ] as const)("is %i: %s, applied %s", (status, code, applied) => {
    expect(faultOfStatus(status)).toMatchObject({ code, retryable: true, applied });
  });

  it.each([
    [0, "misconfigured", "no"],
    [301, "misconfigured", "no"],
    [400, "backend_rejected", "no"],
    [401, "unauthorized", "no"],
    [403, "unauthorized", "no"],
    [404, "misconfigured", "no"],
    [413, "limit_exceeded", "no"],
    [418, "backend_rejected", "no"],
    [501, "backend_rejected", "unknown"],
    [505, "backend_rejected", "unknown"],
    [507, "backend_rejected", "unknown"],
    [511, "backend_rejected", "unknown"],
  ] as const)("is not %i: %s, applied %s", (status, code, applied) => {
    expect(faultOfStatus(status)).toMatchObject({ code, retryable: false, applied });
  });
});

/** As Redis 6 and 7 and the servers like them report an error that a command inside a script met. */
const INSIDE: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => `${text} script: 91fb98f1f472072e36230bd1f864f688f3ab12cd, on @user_script:1.`,
  (text) => `ERR Error running script (call to f_91fb98f1f472072e): @user_script:30: @user_script: 30: -${text}`,
  (text) => `ERR Error running script (call to f_91fb98f1f472072e): @user_script:30: ${text}`,
];

describe("row 59: an answer of Redis", () => {
  it.each([
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "CLUSTERDOWN Hash slot not served",
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "NOREPLICAS Not enough good replicas to write.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    "READONLY Writes are temporarily rejected due to server upgrade",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "ERR max number of clients reached",
    "ERR max concurrent connections exceeded",
    "ERR Script killed by user with SCRIPT KILL...",
  ])("passes by itself, inside a script too, and nothing was applied: %s", (text) => {
    for (const wrapped of INSIDE) {
      expect([wrapped(text), faultOfRedis(wrapped(text))]).toMatchObject([
        expect.anything(),
        { code: "backend_unavailable", retryable: true, applied: "no" },
      ]);
    }
  });

  it.each([
    ["ERR max requests limit exceeded. Limit: 500000, Usage: 500000. See https://upstash.com/docs", 3_600_000],
    ["ERR max daily request limit exceeded. Limit: 10000, Usage: 10000.", 3_600_000],
    ["ERR max monthly bandwidth limit exceeded", 3_600_000],
    ["ERR max commands per second exceeded", undefined],
  ])("that is a limit of requests is one, and the plan's is not hammered: %s", (text, retryAfterMs) => {
    expect(faultOfRedis(text)).toMatchObject({ code: "rate_limited", retryable: true, applied: "no" });
    expect(faultOfRedis(text).retryAfterMs).toBe(retryAfterMs);
  });

  it.each([
    [
      "ERR DB capacity quota exceeded. Threshold: 268435456 bytes, Usage: 276006634 bytes",
      "backend_rejected",
      /is full.*delete/,
    ],
    [
      "ERR max request size exceeded. Limit: 10485760 bytes, Actual: 11245919 bytes",
      "limit_exceeded",
      /send or store less/,
    ],
    ["ERR max single record size exceeded", "limit_exceeded", /send or store less/],
    ["ERR max key size exceeded. Limit: 32768 bytes", "limit_exceeded", /send or store less/],
    ["NOPERM this user has no permissions to run the 'evalsha' command", "unauthorized", /standard token/],
    ["WRONGPASS invalid or missing auth token", "unauthorized", /token/],
    ["WRONGTYPE Operation against a key holding the wrong kind of value", "backend_rejected", /\(WRONGTYPE\)$/],
    ["ERR unknown command 'evalsha'", "backend_rejected", /\(ERR\)$/],
    ["no word at all", "backend_rejected", /refused the command$/],
  ] as const)("that does not pass is named, with what to do: %s", (text, code, says) => {
    expect(faultOfRedis(text)).toMatchObject({
      code,
      retryable: false,
      applied: "no",
      says: expect.stringMatching(says),
    });
  });

  it("that a script ran out of time does not say whether it wrote", () => {
    const fault = { code: "backend_unavailable", retryable: true, applied: "unknown" };
    expect(faultOfRedis("ERR Error running script: execution timed out")).toMatchObject(fault);
  });

  it.each([
    "ERR The user executing the script can't run this command or subcommand script: ab2b9e, on @user_script:1.",
    "ERR ACL failure in script: User coordinator has no permissions to run the 'publish' command script: ab2b9e",
  ])("that a script's command was refused does not say whether it wrote: %s", (text) => {
    const says = expect.stringMatching(/grant its user/);
    expect(faultOfRedis(text)).toMatchObject({ code: "unauthorized", retryable: false, applied: "unknown", says });
  });

  it("is not read in what a user has written", () => {
    for (const text of ["WRONGTYPE key 'a: OOM '", "ERR wrong number of arguments: READONLY x"]) {
      expect(faultOfRedis(text)).toMatchObject({ code: "backend_rejected", retryable: false });
    }
  });
});

describe("row 59: a failed call to a Durable Object", () => {
  const failed = (message: string, marks: object = {}, Kind = Error) =>
    faultOfObject(Object.assign(new Kind(message), marks));

  it.each([
    ["Network connection lost.", { retryable: true }],
    ["Network connection lost.", {}],
    ["Durable Object reset because its code was updated.", { durableObjectReset: true }],
    ["Durable Object reset because its code was updated.", {}],
    ["Cannot resolve Durable Object due to transient issue on remote node.", {}],
  ])("passes, and may be sent again: %s %j", (message, marks) => {
    expect(failed(message, marks)).toMatchObject({ code: "backend_unavailable", retryable: true, resend: true });
  });

  it.each([
    ["Durable Object is overloaded. Too many requests queued.", { retryable: true, overloaded: true }],
    ["Durable Object is overloaded. Requests queued for too long.", {}],
    [
      "Durable Object's isolate exceeded its memory limit and was reset.",
      { overloaded: true, durableObjectReset: true },
    ],
  ])("is never sent again to an object that is overloaded: %s %j", (message, marks) => {
    expect(failed(message, marks)).toMatchObject({ code: "rate_limited", resend: false, retryAfterMs: 10_000 });
  });

  it("passes for its caller alone, when the platform does not say that sending again may help", () => {
    expect(failed("internal error")).toMatchObject({ code: "backend_unavailable", retryable: true, resend: false });
  });

  it("does not pass where the binding is wrong", () => {
    expect(failed("no such method", { remote: true }, TypeError)).toMatchObject({ code: "misconfigured" });
    expect(failed("SQL is not enabled for this Durable Object class.")).toMatchObject({ code: "misconfigured" });
  });

  it("says what its storage says", () => {
    const storage = (text: string) => faultOfStorage(new Error(text));
    expect(storage("database or disk is full: SQLITE_FULL")).toMatchObject({
      code: "backend_rejected",
      retryable: false,
    });
    expect(storage("string or blob too big: SQLITE_TOOBIG")).toMatchObject({
      code: "limit_exceeded",
      retryable: false,
    });
    expect(storage("disk I/O error: SQLITE_IOERR")).toMatchObject({ code: "backend_unavailable", retryable: true });
    expect(storage("secret")).toBeUndefined();
  });
});
