import type { Command } from "commander";
import { connect } from "./connect.js";
import { wholeNumber } from "./numbers.js";
import { backendWords, type ConnectionOptions, type Settings, settingsOf } from "./settings.js";
import type { Kind } from "./snapshot.js";
import { type Subject, subjectOf } from "./subject.js";
import type { Cli } from "./terminal.js";
import { type Paint, painter } from "./text/paint.js";
import { printableJson } from "./text/printable.js";

/** The options of every command. */
export interface GlobalOptions extends ConnectionOptions {
  readonly json?: boolean;
  readonly color?: boolean;
}

/** The options of a command about one group or request. */
export interface SubjectFlags extends GlobalOptions {
  readonly request?: boolean;
}

/** The parts that a command about one group or request works with. */
export interface SubjectContext {
  readonly subject: Subject;
  /** Returns another group or request of the same backend. */
  readonly another: (id: string, kind: Kind) => Subject;
  readonly settings: Settings;
  readonly print: Printer;
}

/** How a command prints its result. */
export interface Printer {
  readonly isJson: boolean;
  readonly paint: Paint;
  text(text: string): void;
  json(value: unknown): void;
  note(text: string): void;
}

/** Returns the printer for a command's options. */
export function printerOf({ terminal }: Cli, { json, color }: GlobalOptions): Printer {
  const isJson = json === true;
  return {
    isJson,
    paint: painter(terminal.hasColour && color !== false && !isJson),
    text: (text) => terminal.out(text),
    json: (value) => terminal.out(`${printableJson(value, terminal.isTTY ? 2 : undefined)}\n`),
    note: (text) => terminal.err(`${text}\n`),
  };
}

/** Adds a command about one group or request. */
export function subjectCommand(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .argument("<id>", "the group's id")
    .option("--request", "the id is that of a request, not of a group");
}

/** Adds the option that binds a call to one registration of the id. */
export function generationOption(command: Command): Command {
  return command.option(
    "--generation <number>",
    "act on this generation alone",
    wholeNumber(0, Number.MAX_SAFE_INTEGER),
  );
}

/** Connects, and returns the group or the request of a command. */
export async function subjectContext(cli: Cli, id: string, command: Command): Promise<SubjectContext> {
  const options = command.optsWithGlobals<SubjectFlags>();
  const settings = settingsOf(options, cli.env);
  const coordinator = await connect(settings);
  const { signal } = cli;
  const another = (otherId: string, kind: Kind): Subject => subjectOf(coordinator, { id: otherId, kind, signal });
  const subject = another(id, options.request === true ? "request" : "group");
  return { subject, another, settings, print: printerOf(cli, options) };
}

/** Returns where a command has looked, for an id that is not known. */
export function lookedIn(settings: Settings): string {
  const hint = settings.other === undefined ? "" : `; --backend ${settings.other} looks in the other backend`;
  return `looked in ${backendWords(settings)}${hint}`;
}
