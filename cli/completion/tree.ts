import type { Command } from "commander";

/** The words that a shell completes: the commands with their options. */
export interface CommandTree {
  readonly name: string;
  readonly options: readonly OptionWords[];
  readonly commands: readonly CommandWords[];
}

export interface CommandWords {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionWords[];
  /** The values of its argument, where they are a list. */
  readonly values: readonly string[];
}

export interface OptionWords {
  /** With its hyphens. */
  readonly long: string;
  readonly short: string | undefined;
  readonly description: string;
  readonly takesValue: boolean;
  readonly values: readonly string[];
}

/** Reads the commands and options from the parser, so that a script never names others. */
export function treeOf(program: Command): CommandTree {
  return {
    name: program.name(),
    options: optionsOf(program),
    commands: program.commands.map((command) => ({
      name: command.name(),
      description: command.description(),
      options: optionsOf(command),
      values: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
    })),
  };
}

function optionsOf(command: Command): OptionWords[] {
  return command.options.flatMap(({ long, short, description, required, optional, argChoices }) => {
    if (long === undefined || long === null) return [];
    const values = argChoices ?? [];
    return [{ long, short: short ?? undefined, description, takesValue: required || optional, values }];
  });
}
