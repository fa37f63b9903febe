import type { Command } from "commander";
import { lookedIn, subjectCommand, subjectContext } from "../context.js";
import { showText } from "../report/show.js";
import { notFound } from "../subject.js";
import type { Cli } from "../terminal.js";

export function addShow(program: Command, cli: Cli): void {
  const command = subjectCommand(program, "show", "Prints the status of a group.");
  command.action(async (id: string) => {
    const { subject, settings, print } = await subjectContext(cli, id, command);
    if (print.isJson) {
      const status = await subject.status();
      if (status === null) throw notFound(subject, lookedIn(settings));
      return print.json(status);
    }
    const snapshot = await subject.snapshot();
    if (snapshot === null) throw notFound(subject, lookedIn(settings));
    print.text(showText(snapshot, print.paint, cli.nowMs()));
  });
}
