import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { CoordinationError } from "../../src/index.js";
import { lookedIn, type Printer, subjectCommand, subjectContext } from "../context.js";
import { EXIT, Failure } from "../exit.js";
import { bar, type Progress, progressLine, progressOf } from "../report/progress.js";
import { notFound, type Status, type Subject } from "../subject.js";
import type { Cli } from "../terminal.js";
import { printable } from "../text/printable.js";

/** How long to wait after a fault: doubled each time, up to the second one. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

export function addWatch(program: Command, cli: Cli): void {
  const command = subjectCommand(program, "watch", "Follows a group to its end, with a progress bar.");
  command.action(async (id: string) => {
    const { subject, settings, print } = await subjectContext(cli, id, command);
    if ((await subject.status()) === null) throw notFound(subject, lookedIn(settings));
    const screen = new Screen(cli, print);
    let last: Progress | undefined;
    try {
      for await (const status of resumed(subject, cli, (text) => screen.note(text))) {
        last = progressOf(status);
        screen.show(status, last);
        // A request whose tasks are all done stays open until its seal: what the caller waits for is over.
        if (last.isOver) break;
      }
    } finally {
      screen.end();
    }
    if (last === undefined || !last.isOver) throw notFound(subject, "it was removed, or it has expired");
    cli.exitWith(last.isGood ? EXIT.ok : EXIT.refused);
  });
}

/** Yields each newer status. After a fault that may pass it continues from the last version. */
async function* resumed(subject: Subject, cli: Cli, note: (text: string) => void): AsyncGenerator<Status, void> {
  let version: string | undefined;
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    try {
      for await (const status of subject.progress(version)) {
        version = status.version;
        pauseMs = FIRST_PAUSE_MS;
        yield status;
      }
      return;
    } catch (error) {
      if (cli.signal.aborted) throw new Failure(EXIT.interrupted, "");
      if (!(error instanceof CoordinationError && error.retryable)) throw error;
      note(`${printable(error.message)}: trying again`);
      await sleep(pauseMs, undefined, { signal: cli.signal }).catch(() => {
        throw new Failure(EXIT.interrupted, "");
      });
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }
}

const CLEAR_LINE = "\r\u001b[K";

/** Prints progress: one line that is drawn again on a terminal, elsewhere a line for each change. */
class Screen {
  readonly #cli: Cli;
  readonly #print: Printer;
  #isDrawn = false;

  constructor(cli: Cli, print: Printer) {
    this.#cli = cli;
    this.#print = print;
  }

  show(status: Status, progress: Progress): void {
    const { terminal, nowMs } = this.#cli;
    if (this.#print.isJson) {
      this.#print.json(status);
      return;
    }
    const line = progressLine(progress, nowMs());
    if (!terminal.isTTY) {
      terminal.out(`${progress.state}: ${line}\n`);
      return;
    }
    const isWide = terminal.columns > line.length + BAR_COLUMNS;
    const drawn = isWide ? bar(progress, this.#print.paint, nowMs()) : line.slice(0, terminal.columns - 1);
    terminal.out(`${this.#isDrawn ? CLEAR_LINE : ""}${drawn}`);
    this.#isDrawn = true;
  }

  /** Prints a fault, and keeps the bar below it. */
  note(text: string): void {
    this.end();
    this.#print.note(text);
  }

  /** Ends the line of the bar. */
  end(): void {
    if (this.#isDrawn) this.#cli.terminal.out("\n");
    this.#isDrawn = false;
  }
}

/** The width of the bar with its brackets and a space. */
const BAR_COLUMNS = 33;
