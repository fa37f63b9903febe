import type { ExitCode } from "./exit.js";

/** The command's surroundings: what it prints to, what it reads, and the time. Tests hand in their own. */
export interface Terminal {
  /** Prints results. */
  out(text: string): void;
  /** Prints what is no result: questions, notes and errors. */
  err(text: string): void;
  /** The output is a terminal: a line can be drawn again. */
  readonly isTTY: boolean;
  /** A person can be asked: input and errors are both a terminal. */
  readonly canAsk: boolean;
  readonly columns: number;
  readonly hasColour: boolean;
  /** Returns the answer to a question. Call it only where `canAsk`. */
  ask(question: string): Promise<string>;
}

/** The parts that every command is run with. */
export interface Cli {
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: () => number;
  /** Aborts at Ctrl-C. */
  readonly signal: AbortSignal;
  /** Sets the exit code of a command that has printed its answer. */
  exitWith(code: ExitCode): void;
}
