import { describe, expect, it } from "vitest";
import { ack, bench, named, registration, verdicts } from "../bench.js";

describe("a registration within a minute of the removal", () => {
  it("counts any id where tasks are only counted, also the open tasks of the group before it", () => {
    const b = bench();
    b.run("completion.register", named(["a", "b"]));
    b.run("completion.remove", { op: "remove" });
    b.run("completion.register", registration({ op: "again" }));
    expect(verdicts(b, ack("x", "a", "c"))).toEqual(["accepted", "accepted"]);
    expect(b.run("completion.status", {}).view?.state).toBe("completed");
  });
});
