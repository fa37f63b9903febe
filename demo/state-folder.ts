import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Complaint } from "./complaint.js";
import { IndexFile } from "./index-file.js";

/** Where a run keeps what it makes: the index of the last good run, and the work of the one that is under way. */
export class StateFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** The index of the last good run. */
  get index(): IndexFile {
    return new IndexFile(join(this.path, "index.jsonl"));
  }

  /** The index that is being built. */
  get nextIndexPath(): string {
    return join(this.run, "index.jsonl");
  }

  get chunks(): string {
    return join(this.run, "chunks");
  }

  /** The demo's programs. */
  get build(): string {
    return join(this.run, "build");
  }

  /** What lives as long as the run. */
  get run(): string {
    return join(this.path, "run");
  }

  /** @throws Complaint when another run is at work here. */
  begin(): void {
    mkdirSync(this.path, { recursive: true });
    this.#lock();
    rmSync(this.run, { recursive: true, force: true });
    mkdirSync(this.chunks, { recursive: true });
  }

  /** Puts the new index in the place of the old one. */
  keepIndex(): void {
    renameSync(this.nextIndexPath, join(this.path, "index.jsonl"));
  }

  end(): void {
    rmSync(this.run, { recursive: true, force: true });
    rmSync(this.#lockPath, { force: true });
  }

  get #lockPath(): string {
    return join(this.path, "lock");
  }

  #lock(): void {
    for (;;) {
      try {
        writeFileSync(this.#lockPath, `${process.pid}`, { flag: "wx" });
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const holder = readLock(this.#lockPath);
      if (isRunning(holder)) throw new Complaint(`another run (process ${holder}) is at work in ${this.path}`);
      // Left behind by a run that was killed.
      rmSync(this.#lockPath, { force: true });
    }
  }
}

function readLock(path: string): number {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return 0;
  }
}

function isRunning(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
