import { describe, expect, it } from "vitest";
import { readArgs } from "../../demo/args.js";
import { Complaint } from "../../demo/complaint.js";

describe("readArgs", () => {
  it("runs on the Worker, with a free port, when nothing is said", () => {
    const wanted = { command: "run", backend: "worker", path: undefined, seed: 1, port: 0, processes: 3, limit: 100 };
    expect(readArgs([])).toEqual({ ...wanted, state: undefined });
  });

  it("takes a folder and options in any order", () => {
    const args = readArgs(["--backend", "upstash", "texts", "--seed=7", "--port", "8787"]);
    expect(args).toMatchObject({ backend: "upstash", path: "texts", seed: 7, port: 8787 });
  });

  it("takes a query", () => {
    expect(readArgs(["--query", "how to retry"])).toEqual({ command: "query", text: "how to retry", state: undefined });
  });

  it.each([
    [["--backend", "redis"], /no backend "redis": choose worker, upstash, memory/],
    [["--bakcend", "memory"], /--bakcend/],
    [["one", "two"], /one PATH/],
    [["--port", "70000"], /--port must be a whole number from 1 to 65535/],
    [["--port", "0"], /--port/],
    [["--seed", "-1"], /--seed/],
    [["--seed", "1e3"], /--seed/],
    [["--limit", "0"], /--limit/],
    [["--processes", "1"], /--processes/],
    [["--query", " "], /--query/],
    [["--query"], /--query/],
  ])("refuses %j in one line", (argv, message) => {
    const read = () => readArgs(argv);
    expect(read).toThrow(Complaint);
    expect(read).toThrow(message);
    expect(read).not.toThrow(/\n/);
  });
});
