import { CommanderError } from "commander";
import { CoordinationError, type CoordinationErrorCode } from "../src/index.js";
import { EXIT, type ExitCode, Failure } from "./exit.js";
import { programOf } from "./program.js";
import { settingsOf } from "./settings.js";
import type { Cli } from "./terminal.js";
import { printable, printableJson } from "./text/printable.js";

/** The exit codes of the library's errors. */
const EXIT_OF: Readonly<Record<CoordinationErrorCode, ExitCode>> = {
  invalid_input: EXIT.usage,
  misconfigured: EXIT.usage,
  unauthorized: EXIT.usage,
  conflict: EXIT.refused,
  limit_exceeded: EXIT.refused,
  unsupported: EXIT.refused,
  backend_unavailable: EXIT.unavailable,
  backend_rejected: EXIT.unavailable,
  rate_limited: EXIT.unavailable,
  wait_timeout: EXIT.unavailable,
};

/** Runs one command line, and returns its exit code. Never throws for what a caller or a backend did. */
export async function run(args: readonly string[], cli: Omit<Cli, "exitWith">): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok;
  const exitWith = (code: ExitCode): void => {
    exitCode = code;
  };
  try {
    // The parser then prints all commands.
    if (args.length === 0) cli.terminal.err(firstUse(cli.env));
    await programOf({ ...cli, exitWith }).parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    if (cli.signal.aborted) return EXIT.interrupted;
    // The parser has printed its own text.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    return report(error, cli, args.includes("--json"));
  }
}

/** Returns what to set, for a call without arguments where nothing is set yet. */
function firstUse(env: Cli["env"]): string {
  try {
    settingsOf({}, env);
    return "";
  } catch (error) {
    return error instanceof Failure ? `${error.message}\n\n` : "";
  }
}

function report(error: unknown, { terminal }: Pick<Cli, "terminal">, isJson: boolean): ExitCode {
  if (!(error instanceof Failure || error instanceof CoordinationError)) throw error;
  const exitCode = error instanceof Failure ? error.exitCode : EXIT_OF[error.code];
  if (error.message === "") return exitCode;
  if (isJson) {
    const fields = error instanceof CoordinationError ? error.toJSON() : { name: "Failure", message: error.message };
    terminal.err(`${printableJson({ ...fields, exitCode })}\n`);
  } else {
    terminal.err(`edge-coordinator: ${textOf(error)}\n`);
  }
  return exitCode;
}

/** A failure's own line breaks are kept: its text was made here. */
function textOf(error: Failure | CoordinationError): string {
  if (error instanceof Failure) return error.message;
  const doubt = error.applied === "unknown" ? " The call may have been applied: look with show." : "";
  return `${printable(error.message)} (${error.code}).${doubt}`;
}
