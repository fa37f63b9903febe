import type { Command } from "commander";
import { lookedIn, type Printer, subjectCommand, subjectContext } from "../context.js";
import { EXIT } from "../exit.js";
import { follow } from "../follow.js";
import { bar, type Progress, progressLine, progressOf } from "../report/progress.js";
import { notFound, type Status } from "../subject.js";
import type { Cli } from "../terminal.js";

export function addWatch(program: Command, cli: Cli): void {
  const command = subjectCommand(program, "watch", "Follows a group to its end, with a progress bar.");
  command.action(async (id: string) => {
    const { subject, settings, print } = await subjectContext(cli, id, command);
    if ((await subject.status()) === null) throw notFound(subject, lookedIn(settings));
    const screen = new Screen(cli, print);
    let last: Progress | undefined;
    try {
      for await (const status of follow(subject, { signal: cli.signal, note: (text) => screen.note(text) })) {
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
