import { existsSync, mkdtempSync, statfsSync } from "node:fs";
import { join } from "node:path";

const MEMORY = "/dev/shm";
const ROOM_BYTES = 1_000_000_000;

/**
 * Returns a new folder in a file system in memory; `undefined` on a machine without one, or with less than 1 GB free there.
 * The tests write thousands of small databases, and a commit on a disk waits several milliseconds for it.
 */
export function memoryFolder(): string | undefined {
  if (!existsSync(MEMORY)) return undefined;
  const { bavail, bsize } = statfsSync(MEMORY);
  return bavail * bsize < ROOM_BYTES ? undefined : mkdtempSync(join(MEMORY, "edge-coordinator-"));
}
