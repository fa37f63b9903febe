import { describe, expect, it } from "vitest";
import type { Work } from "../src/runtime/backend.js";
import { type Placed, type PoolSize, Stop, WorkPool } from "../src/runtime/work-pool.js";
import { ManualClock, settle } from "../src/testing/index.js";

const SIZE: PoolSize = { places: 8, share: 4, most: 20 };

/** Works whose ends the test decides, and a pool under a clock that stands still. */
function fixture(size = SIZE) {
  const clock = new ManualClock();
  const pool = new WorkPool(size, clock, () => 1);
  const begun: string[] = [];
  const handedBack: number[] = [];
  const ends = new Map<string, (isSuccess: boolean) => void>();
  const give = (name: string, more: Partial<Work> & { readonly stop?: Stop } = {}): Promise<Placed> => {
    const { stop, ...rest } = more;
    const run = (): Promise<boolean> => {
      begun.push(name);
      return new Promise((resolve) => ends.set(name, resolve));
    };
    const handBack = async (afterMs: number): Promise<void> => void handedBack.push(afterMs);
    const [destination = ""] = name.split("-");
    return pool.place({ destination, isRetry: false, run, handBack, ...rest }, stop);
  };
  const giveMany = (destination: string, count: number, more?: Parameters<typeof give>[1]): Promise<Placed>[] =>
    Array.from({ length: count }, (_, i) => give(`${destination}-${i}`, more));
  const end = async (name: string, isSuccess = true): Promise<void> => {
    ends.get(name)?.(isSuccess);
    await settle(1);
  };
  const begunOf = (destination: string): number => begun.filter((name) => name.startsWith(`${destination}-`)).length;
  return { clock, pool, begun, begunOf, handedBack, give, giveMany, end };
}

describe("a pool of works", () => {
  it("row 43: gives each destination its share, and lets others pass those that wait", async () => {
    const { begunOf, giveMany, give } = fixture();
    void giveMany("slow", 10);
    expect(await give("healthy-0")).toMatchObject({ isHandedBack: false });
    expect([begunOf("slow"), begunOf("healthy")]).toEqual([4, 1]);
  });

  it("row 47: runs no more at once than it has places, and the next when one ends", async () => {
    const { begun, giveMany, end } = fixture();
    for (const destination of ["a", "b", "c"]) void giveMany(destination, 4);
    await settle(1);
    expect(begun).toHaveLength(8);
    await end("a-0");
    expect(begun.slice(8)).toEqual(["c-0"]);
  });

  it("begins first attempts before retries", async () => {
    const { begun, give, giveMany, end } = fixture();
    void giveMany("a", 4);
    void give("a-retry", { isRetry: true });
    void give("a-first");
    await end("a-0");
    await end("a-1");
    expect(begun.slice(4)).toEqual(["a-first", "a-retry"]);
  });

  it("row 43: hands a claim back that waited half a second, and those after it at once, until a quick work of its destination ends", async () => {
    const { clock, begunOf, handedBack, giveMany, give, end } = fixture();
    const placed = giveMany("hanging", 6);
    await clock.advance(499);
    expect(handedBack).toEqual([]);
    await clock.advance(1);
    expect(handedBack).toEqual([2_000, 2_000]);
    expect(await Promise.all(placed.map(async (one) => (await one).isHandedBack))).toEqual([
      false,
      false,
      false,
      false,
      true,
      true,
    ]);
    expect(await give("hanging-6")).toMatchObject({ isHandedBack: true });
    expect(begunOf("hanging")).toBe(4);
    // A slow end frees its place, and no more.
    await end("hanging-0", false);
    void give("hanging-7");
    expect(await give("hanging-8")).toMatchObject({ isHandedBack: true });
    await end("hanging-7");
    void give("hanging-9");
    void give("hanging-10");
    await settle(1);
    expect([begunOf("hanging"), handedBack.length]).toEqual([6, 4]);
  });

  it("has them come again the later the more of their destination were handed back, until one succeeds", async () => {
    const { clock, handedBack, giveMany, give, end } = fixture();
    void giveMany("hanging", 4);
    const stop = new Stop();
    stop.stop();
    for (let i = 4; i < 1_000; i++) await give(`hanging-${i}`, { stop });
    expect(handedBack.slice(0, 9)).toEqual([2_000, 2_000, 2_000, 2_000, 4_000, 4_000, 4_000, 4_000, 6_000]);
    expect(Math.max(...handedBack)).toBe(300_000);
    await end("hanging-0");
    void give("hanging-again");
    await give("hanging-last", { stop });
    expect(handedBack.at(-1)).toBe(2_000);
    await clock.advance(2_000);
  });

  it("row 43: gives the places of works that take long to others, as long as there is room for more", async () => {
    const { clock, begun, giveMany } = fixture();
    for (const destination of ["a", "b", "c", "d", "e", "f"]) void giveMany(destination, 4);
    expect(begun).toHaveLength(8);
    await clock.advance(2_000);
    const counts = [begun.length];
    for (let i = 0; i < 4; i++) {
      for (const destination of ["g", "h", "i"]) void giveMany(destination, 4);
      await clock.advance(2_000);
      counts.push(begun.length);
    }
    expect(Math.max(...counts)).toBe(20);
  });

  it("row 43: keeps half of the places from destinations that failed, however many they are", async () => {
    const { begun, give, end } = fixture();
    for (let i = 0; i < 100; i++) {
      void give(`host${i}-0`);
      await end(`host${i}-0`, false);
    }
    begun.length = 0;
    for (let i = 0; i < 100; i++) void give(`host${i}-1`);
    expect(begun).toHaveLength(4);
    for (let i = 0; i < 4; i++) void give(`healthy${i}-0`);
    expect(begun).toHaveLength(8);
    // What has failed does not come into the place of what has not.
    await end("healthy0-0");
    expect(begun).toHaveLength(8);
    void give("healthy9-0");
    expect(begun.at(-1)).toBe("healthy9-0");
    await end("host0-1");
    expect(begun.slice(9)).toEqual(["host4-1"]);
  });

  it("row 43: calls for what is parked when its destination has room, one for each place, and once for a record", async () => {
    const { pool, give, giveMany, end } = fixture();
    void giveMany("a", 4);
    const called: string[] = [];
    const claim = (name: string) => async (): Promise<void> => {
      called.push(name);
      await give(`a-${name}`);
    };
    const parked = ["x", "y", "z", "x"].map((name) => pool.park(name, "a", claim(name)));
    await settle(1);
    expect(called).toEqual([]);
    await end("a-0");
    expect(called).toEqual(["x"]);
    await end("a-x");
    await end("a-1");
    expect(called).toEqual(["x", "y", "z"]);
    await Promise.all(parked);
    // There is room: what is parked now is called at once.
    await end("a-2");
    await pool.park("w", "a", claim("w"));
    expect(called).toEqual(["x", "y", "z", "w"]);
  });

  it("drops parked work once it is stopped", async () => {
    const { pool, giveMany, end } = fixture();
    void giveMany("a", 4);
    const stop = new Stop();
    const called: string[] = [];
    const parked = pool.park("x", "a", async () => void called.push("x"), stop);
    stop.stop();
    await parked;
    await pool.park("y", "a", async () => void called.push("y"), stop);
    await end("a-0");
    expect(called).toEqual([]);
  });

  it("hands back every waiting claim once it is stopped", async () => {
    const { handedBack, giveMany, give } = fixture();
    const stop = new Stop();
    void giveMany("hanging", 4);
    const waiting = give("hanging-4", { stop });
    await settle(1);
    stop.stop();
    expect(await waiting).toMatchObject({ isHandedBack: true });
    expect(await give("hanging-5", { stop: new Stop() })).toMatchObject({ isHandedBack: true });
    expect(handedBack).toHaveLength(2);
  });

  it("keeps the turn of a work that cannot be handed back, and does not delay its caller", async () => {
    const { clock, begun, give, giveMany, end } = fixture();
    void giveMany("a", 4);
    const placed = give("a-whole", { handBack: undefined as never });
    await clock.advance(2_000);
    const { isHandedBack, done } = await placed;
    expect([isHandedBack, begun.length]).toEqual([false, 4]);
    await end("a-0");
    expect(begun.at(-1)).toBe("a-whole");
    await end("a-whole");
    await done;
  });

  it("takes a work that rejects for one that failed, and leaves no timer behind", async () => {
    const { clock, give } = fixture();
    const { done } = await give("a-0", { run: () => Promise.reject(new Error("broken")) });
    await done;
    expect(clock.pending).toBe(0);
  });
});
