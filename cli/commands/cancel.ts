import type { Command } from "commander";
import { confirm } from "../confirm.js";
import { generationOption, lookedIn, subjectCommand, subjectContext } from "../context.js";
import { EXIT, Failure } from "../exit.js";
import { notFound } from "../subject.js";
import type { Cli } from "../terminal.js";
import { printable, quoted } from "../text/printable.js";
import { count, grouped } from "../text/time.js";

interface CancelFlags {
  readonly reason: string;
  readonly cascade: boolean;
  readonly generation?: number;
  readonly yes?: boolean;
}

export function addCancel(program: Command, cli: Cli): void {
  const command = generationOption(
    subjectCommand(program, "cancel", "Ends an open group, and the child groups of its open tasks.")
      .requiredOption("--reason <text>", "why; the status shows it")
      .option("--no-cascade", "child groups stay open")
      .option("-y, --yes", "do not ask"),
  );
  command.action(async (id: string) => {
    const { subject, settings, print } = await subjectContext(cli, id, command);
    const { reason, cascade, yes, generation: given } = command.opts<CancelFlags>();
    const before = await subject.snapshot();
    if (before === null) throw notFound(subject, lookedIn(settings));
    if (before.status.state !== "open") {
      throw new Failure(EXIT.refused, `${subject.kind} ${printable(id)} has ended already: it is ${before.state}`);
    }
    const open = `${grouped(before.status.remaining)} of ${count(before.status.total, "task")} open`;
    await confirm(cli, yes, `Cancel the ${subject.kind} ${printable(id)}, with ${open}?`);
    // The person agreed to end what was shown, so a generation that began meanwhile stays.
    const generation = given ?? before.status.generation;
    const status = await subject.cancel(reason, { generation, cascade });
    if (status === null) throw notFound(subject, lookedIn(settings));
    if (print.isJson) print.json(status);
    if (status.state !== "cancelled" || status.generation !== generation) {
      throw new Failure(EXIT.refused, `${subject.kind} ${printable(id)} was not cancelled: it is ${status.state}`);
    }
    if (!print.isJson) print.text(`${subject.kind} ${printable(id)} is cancelled: ${quoted(reason)}\n`);
  });
}
