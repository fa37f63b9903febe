import type { Command } from "commander";
import { DEFAULT_KEY_PREFIX } from "../../src/runtime/placement.js";
import { confirm } from "../confirm.js";
import { connect } from "../connect.js";
import { type GlobalOptions, type Printer, printerOf } from "../context.js";
import { EXIT, Failure } from "../exit.js";
import { countListed, removeListed, type Walk } from "../purge.js";
import { type Settings, settingsOf } from "../settings.js";
import type { Cli } from "../terminal.js";
import { printable } from "../text/printable.js";
import { count, when } from "../text/time.js";
import { callWorker, unexpectedAnswer } from "../worker-call.js";

interface PurgeFlags extends GlobalOptions {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** The most walks over the index: a tenant whose callers register faster than this command removes must be suspended first. */
const MOST_WALKS = 10;

export function addPurge(program: Command, cli: Cli): void {
  const command = program
    .command("purge")
    .description("Removes all listed groups and requests of a tenant. Run it again to go on after a failure.")
    .argument("<name>", "the tenant of the token; on Upstash the key prefix")
    .option("--dry-run", "only count them")
    .option("-y, --yes", "do not ask");
  command.action(async (name: string) => {
    const { dryRun, yes, ...options } = command.optsWithGlobals<PurgeFlags>();
    const settings = settingsOf(options, cli.env);
    const print = printerOf(cli, options);
    const coordinator = await connect(settings);
    const isSuspended = await checkName(cli, settings, name);
    const found = await countListed(coordinator, cli.signal);
    if (dryRun === true) return report(print, cli, { name, found, removed: { groups: 0, requests: 0 } });
    if (!isSuspended) print.note(`Callers of ${printable(name)} may register more meanwhile.`);
    await confirm(cli, yes, `Remove ${textOf(found)} of ${printable(name)}?`);
    let removed = { groups: 0, requests: 0 };
    for (let walks = 0; walks < MOST_WALKS; walks++) {
      const walk = await removeListed(coordinator, cli.signal);
      removed = { groups: removed.groups + walk.groups, requests: removed.requests + walk.requests };
      if (walk.groups + walk.requests === 0) {
        return report(print, cli, { name, found: { ...walk, groups: 0, requests: 0 }, removed });
      }
      print.note(`removed ${textOf(walk)}`);
    }
    const removedText = `${textOf(removed)} of ${printable(name)} are removed`;
    throw new Failure(EXIT.refused, `${removedText}, and more keep coming: suspend the tenant, then run this again`);
  });
}

/**
 * Checks that the name is that of the data which would be removed. Returns whether its tenant is suspended.
 *
 * @throws {Failure} for another name.
 */
async function checkName(cli: Cli, settings: Settings, name: string): Promise<boolean> {
  if (settings.backend === "upstash") {
    const { keyPrefix = DEFAULT_KEY_PREFIX } = settings;
    if (name !== keyPrefix)
      throw new Failure(EXIT.usage, `the key prefix is ${printable(keyPrefix)}, not ${printable(name)}`);
    return false;
  }
  const answer = await callWorker(settings, { method: "GET", path: "/v1/tenant" }, cli.signal);
  if (answer === undefined)
    throw new Failure(EXIT.refused, "this Worker cannot say whose token it is: deploy a later version");
  const { tenant, suspended } = answer;
  if (tenant === null)
    throw new Failure(EXIT.usage, "this token has no tenant: purge takes a token of COORDINATOR_TOKENS");
  if (typeof tenant !== "string" || typeof suspended !== "boolean") throw unexpectedAnswer();
  if (tenant !== name)
    throw new Failure(EXIT.usage, `the token is of the tenant ${printable(tenant)}, not of ${printable(name)}`);
  return suspended;
}

interface Purged {
  readonly name: string;
  /** The rest, as the index lists it. */
  readonly found: Walk;
  readonly removed: Pick<Walk, "groups" | "requests">;
}

function report(print: Printer, cli: Cli, { name, found: { asOfMs, ...remaining }, removed }: Purged): void {
  if (print.isJson) {
    print.json({ name, removed, remaining, asOfMs });
    return;
  }
  print.text(`${printable(name)}: ${textOf(removed)} removed, ${textOf(remaining)} remain.\n`);
  print.note(`The index says so as of ${when(asOfMs, cli.nowMs())}. Later ones may be missing: run this again.`);
}

function textOf({ groups, requests }: Pick<Walk, "groups" | "requests">): string {
  return `${count(groups, "group")} and ${count(requests, "request")}`;
}
