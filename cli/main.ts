#!/usr/bin/env node
import { createInterface } from "node:readline/promises";
import { run } from "./run.js";
import type { Terminal } from "./terminal.js";
import { takesColour } from "./text/paint.js";

const DEFAULT_COLUMNS = 80;

function terminalOf(signal: AbortSignal): Terminal {
  const { stdin, stdout, stderr, env } = process;
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    isTTY: stdout.isTTY === true,
    canAsk: stdin.isTTY === true && stderr.isTTY === true,
    columns: stdout.columns ?? DEFAULT_COLUMNS,
    hasColour: takesColour(env, stdout.isTTY === true),
    async ask(question) {
      const lines = createInterface({ input: stdin, output: stderr });
      try {
        return await lines.question(question, { signal });
      } finally {
        lines.close();
      }
    },
  };
}

/** Ends quietly when the reader of a pipe has left, as `| head` does. */
function endWithPipe(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
}

const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => stop.abort());
process.stdout.on("error", endWithPipe);
process.stderr.on("error", endWithPipe);

const exitCode = await run(process.argv.slice(2), {
  terminal: terminalOf(stop.signal),
  env: process.env,
  nowMs: Date.now,
  signal: stop.signal,
});
// Open sockets of a subscription or of a keep-alive would keep the process: it ends once its output is written.
process.stdout.write("", () => process.exit(exitCode));
