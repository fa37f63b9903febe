import type { Command } from "commander";
import { confirm } from "../confirm.js";
import { generationOption, lookedIn, subjectCommand, subjectContext } from "../context.js";
import { EXIT, Failure } from "../exit.js";
import { notFound } from "../subject.js";
import type { Cli } from "../terminal.js";
import { printable } from "../text/printable.js";

interface SealFlags {
  readonly generation?: number;
  readonly yes?: boolean;
}

export function addSeal(program: Command, cli: Cli): void {
  const command = generationOption(
    subjectCommand(program, "seal", "Says that no more tasks come: the group completes without open tasks.").option(
      "-y, --yes",
      "do not ask",
    ),
  );
  command.action(async (id: string) => {
    const { subject, settings, print } = await subjectContext(cli, id, command);
    const { generation, yes } = command.opts<SealFlags>();
    const name = `${subject.kind} ${printable(id)}`;
    const before = await subject.snapshot();
    if (before === null) throw notFound(subject, lookedIn(settings));
    if (before.status.state !== "open") throw new Failure(EXIT.refused, `${name} has ended: it is ${before.state}`);
    await confirm(cli, yes, `Seal the ${name}, so that its producer can add no more tasks?`);
    const status = await subject.seal(generation ?? before.status.generation);
    if (status === null) throw notFound(subject, "it has no such generation");
    if (print.isJson) print.json(status);
    else print.text(`${name} is sealed: it is ${status.state}.\n`);
  });
}
