import type { Command } from "commander";
import { generationOption, lookedIn, subjectCommand, subjectContext } from "../context.js";
import { EXIT, Failure } from "../exit.js";
import { notFound } from "../subject.js";
import type { Cli } from "../terminal.js";
import { printable } from "../text/printable.js";

export function addRedeliver(program: Command, cli: Cli): void {
  const command = generationOption(
    subjectCommand(program, "redeliver", "Queues the callback of an ended group again, and dead letters."),
  );
  command.action(async (id: string) => {
    const { subject, settings, print } = await subjectContext(cli, id, command);
    const { generation } = command.opts<{ readonly generation?: number }>();
    const status = await subject.redeliver(generation);
    if (status === null) throw notFound(subject, lookedIn(settings));
    if (print.isJson) print.json(status);
    const { state, deliveryId } = status.delivery;
    if (state === "none") {
      throw new Failure(
        EXIT.refused,
        `${subject.kind} ${printable(id)} has no callback to deliver: it is ${status.state}`,
      );
    }
    if (generation !== undefined && generation !== status.generation) {
      throw new Failure(EXIT.refused, `nothing was queued: the generation is ${status.generation}`);
    }
    const place =
      settings.backend === "http"
        ? "the Worker's object makes the next attempt now"
        : "the next drain of a process that has its handler makes the next attempt";
    if (!print.isJson) print.text(`The delivery ${printable(deliveryId ?? "")} is ${state}: ${place}.\n`);
  });
}
