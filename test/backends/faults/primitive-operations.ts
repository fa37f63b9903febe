import type { Operation, Place } from "./operation.js";

/** Longer than a call takes that meets silence and is sent again: the key must still be there. */
const EXPIRE_SEC = 10;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const listed = ({ c, id }: Place) => c.lrange(id);
const number = ({ c, id }: Place) => c.getInt(id);
/** Takes the members out one by one, since no call lists them. */
const members = async ({ c, id }: Place) => [
  await c.scard(id),
  await c.srem(id, "a"),
  await c.srem(id, "b"),
  await c.srem(id, "c"),
];

/** The raw keys. A write that is sent again is known by its operation's id, even after the key was deleted. */
export const PRIMITIVES: readonly Operation[] = [
  {
    method: "Coordinator.incr",
    run: ({ c, id }) => c.incr(id, 3),
    observe: number,
    meanwhile: ({ c, id }) => c.incr(id, 10),
  },
  {
    method: "Coordinator.incr",
    when: "of a key that is deleted afterwards",
    run: ({ c, id }) => c.incr(id, 3),
    observe: number,
    meanwhile: ({ c, id }) => c.delete(id),
  },
  {
    method: "Coordinator.getInt",
    reads: true,
    prepare: ({ c, id }) => c.incr(id, 7),
    run: number,
    observe: number,
  },
  {
    method: "Coordinator.setIfAbsent",
    run: ({ c, id }) => c.setIfAbsent(id, 60),
    observe: ({ c, id }) => c.expire(id, 60),
    meanwhile: ({ c, id }) => c.setIfAbsent(id, 60),
  },
  {
    method: "Coordinator.sadd",
    run: ({ c, id }) => c.sadd(id, "a", "b"),
    observe: members,
    meanwhile: async ({ c, id }) => [await c.sadd(id, "c"), await c.srem(id, "a")],
  },
  {
    method: "Coordinator.srem",
    prepare: ({ c, id }) => c.sadd(id, "a", "b"),
    run: ({ c, id }) => c.srem(id, "a"),
    observe: members,
    meanwhile: ({ c, id }) => c.sadd(id, "a"),
  },
  {
    method: "Coordinator.srem",
    when: "of the last member",
    prepare: ({ c, id }) => c.sadd(id, "a"),
    run: ({ c, id }) => c.srem(id, "a"),
    observe: members,
    meanwhile: ({ c, id }) => c.sadd(id, "a"),
  },
  {
    method: "Coordinator.scard",
    reads: true,
    prepare: ({ c, id }) => c.sadd(id, "a", "b"),
    run: ({ c, id }) => c.scard(id),
    observe: members,
  },
  {
    method: "Coordinator.rpush",
    prepare: ({ c, id }) => c.rpush(id, "first"),
    run: ({ c, id }) => c.rpush(id, "a", "b"),
    observe: listed,
    meanwhile: ({ c, id }) => c.rpush(id, "last"),
  },
  {
    method: "Coordinator.lrange",
    reads: true,
    prepare: ({ c, id }) => c.rpush(id, "a", "b"),
    run: listed,
    observe: listed,
  },
  {
    method: "Coordinator.expire",
    prepare: ({ c, id }) => c.incr(id, 7),
    run: ({ c, id }) => c.expire(id, EXPIRE_SEC),
    observe: async (place) => {
      const untilMs = Date.now() + EXPIRE_SEC * 1_000 + 2_000;
      while ((await number(place)) !== 0 && Date.now() < untilMs) await pause(500);
      return number(place);
    },
  },
  {
    method: "Coordinator.delete",
    prepare: ({ c, id }) => c.incr(id),
    run: ({ c, id }) => c.delete(id),
    observe: number,
    meanwhile: ({ c, id }) => c.incr(id, 10),
  },
];
