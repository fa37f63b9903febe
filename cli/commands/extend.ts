import type { Command } from "commander";
import { generationOption, lookedIn, subjectCommand, subjectContext } from "../context.js";
import { EXIT, Failure } from "../exit.js";
import { seconds } from "../numbers.js";
import { notFound, type Status, type Subject } from "../subject.js";
import type { Cli } from "../terminal.js";
import { printable } from "../text/printable.js";
import { when } from "../text/time.js";

interface ExtendFlags {
  readonly by: number;
  readonly generation?: number;
}

export function addExtend(program: Command, cli: Cli): void {
  const command = generationOption(
    subjectCommand(program, "extend", "Moves the deadline of an open group to a later instant.").requiredOption(
      "--by <duration>",
      "the new deadline, from now: 30s, 10m, 2h",
      seconds,
    ),
  );
  command.action(async (id: string) => {
    const { subject, settings, print } = await subjectContext(cli, id, command);
    const { by, generation } = command.opts<ExtendFlags>();
    // The call takes a moment: an extension by an hour would be one of 59 minutes after it.
    const askedAtMs = cli.nowMs();
    const status = await subject.extend(by, generation);
    if (status === null) throw notFound(subject, lookedIn(settings));
    if (print.isJson) print.json(status);
    const { deadlineAtMs, endedAtMs } = status;
    if (endedAtMs !== null) throw ended(subject, status);
    if (deadlineAtMs === null) {
      throw new Failure(EXIT.refused, `${subject.kind} ${printable(id)} has no deadline, so there is none to move`);
    }
    if (!print.isJson) print.text(`The deadline is ${when(deadlineAtMs, askedAtMs)}.\n`);
  });
}

function ended({ kind, id }: Subject, { state }: Status): Failure {
  return new Failure(EXIT.refused, `${kind} ${printable(id)} has ended: it is ${state}`);
}
