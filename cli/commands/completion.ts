import { Argument, type Command } from "commander";
import { bashScript } from "../completion/bash.js";
import { fishScript } from "../completion/fish.js";
import { type CommandTree, treeOf } from "../completion/tree.js";
import { zshScript } from "../completion/zsh.js";
import type { Cli } from "../terminal.js";

const SCRIPTS: Readonly<Record<string, (tree: CommandTree) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

export function addCompletion(program: Command, { terminal }: Cli): void {
  program
    .command("completion")
    .description("Prints the completion script of a shell.")
    .addArgument(new Argument("<shell>", "the shell").choices(Object.keys(SCRIPTS)))
    .action((shell: string) => terminal.out(SCRIPTS[shell]?.(treeOf(program)) ?? ""));
}
