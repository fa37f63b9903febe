import type { DurableObjectCoordinator } from "../../src/backends/durable-object/object/index.js";
import { Mutex, RateLimiter } from "../../src/index.js";

const QUOTA = { limit: 1_000_000, windowSec: "1h" } as const;

/** A call of one user's limit, as a Worker makes it. */
export async function limitOnce(coordinator: DurableObjectCoordinator): Promise<void> {
  await new RateLimiter(coordinator, QUOTA).limit("user");
}

/** Takes a free lock and gives it back. */
export async function lockOnce(coordinator: DurableObjectCoordinator, key: string): Promise<void> {
  const mutex = new Mutex(coordinator);
  const permit = await mutex.acquire(key);
  if (permit === null || !(await mutex.release(key, permit.permitId))) throw new Error("the lock was not free");
}

/** A bare object, as a Worker calls it. */
interface BareLock {
  lock(key: string, value: string): Promise<boolean>;
  unlock(key: string, value: string): Promise<boolean>;
}

/** The same with a row in an object. */
export async function bareLockOnce(object: BareLock, key: string): Promise<void> {
  const value = crypto.randomUUID();
  if (!(await object.lock(key, value)) || !(await object.unlock(key, value))) throw new Error("the lock was not free");
}
