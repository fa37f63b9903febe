import { EXIT, Failure } from "./exit.js";
import type { Cli } from "./terminal.js";

/**
 * Asks before a step that cannot be undone.
 *
 * @throws {Failure} for any answer but yes, and without `--yes` where no person can be asked.
 */
export async function confirm({ terminal }: Cli, isAgreed: boolean | undefined, question: string): Promise<void> {
  if (isAgreed === true) return;
  if (!terminal.canAsk) throw new Failure(EXIT.usage, "this command needs --yes where it cannot ask");
  const answer = await terminal.ask(`${question} It cannot be undone. [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new Failure(EXIT.refused, "nothing was changed");
}
