import { Argument, type Command } from "commander";
import { CAPABILITY_VERBS, type CapabilityVerb } from "../../src/capability/capability.js";
import { type Capability, mintCapability } from "../../src/capability/index.js";
import { readKeys } from "../../src/capability/signing-key.js";
import { connect } from "../connect.js";
import { type GlobalOptions, lookedIn, printerOf, type SubjectFlags, subjectCommand } from "../context.js";
import { EXIT, Failure } from "../exit.js";
import { type CapabilityRequest, mintedByWorker } from "../mint.js";
import { seconds, wholeNumber } from "../numbers.js";
import { settingsOf } from "../settings.js";
import type { Kind } from "../snapshot.js";
import { notFound } from "../subject.js";
import type { Cli } from "../terminal.js";
import { printable } from "../text/printable.js";
import { when } from "../text/time.js";

interface TokenFlags extends SubjectFlags {
  readonly task?: readonly string[];
  readonly stage?: string;
  readonly ttl?: number;
  readonly generation?: number | "current";
}

export function addToken(program: Command, cli: Cli): void {
  const command = subjectCommand(
    program,
    "token",
    "Prints a capability: a token for one group, for a browser or a worker.",
  )
    .addArgument(new Argument("<verbs...>", "what the token allows").choices(CAPABILITY_VERBS))
    .option("--task <id>", "a task that it can ack or fail; repeat it for more (default: all)", oneMore)
    .option("--stage <stage>", "the stage of the tasks")
    .option("--ttl <duration>", "how long it is valid: at most 15m, or 24h with --generation (default: 15m)", seconds)
    .option("--generation <number>", 'for this generation alone; "current" reads its number', generationOf);
  command.action(async (id: string, verbs: readonly CapabilityVerb[]) => {
    const flags = command.optsWithGlobals<TokenFlags>();
    const kind = flags.request === true ? "request" : "group";
    const print = printerOf(cli, flags);
    const { token, expiresAtMs } = await minted(cli, { kind, id, flags }, requestOf(verbs, flags));
    if (print.isJson) return print.json({ token, expiresAtMs });
    print.text(`${printable(token)}\n`);
    print.note(`It expires ${when(expiresAtMs, cli.nowMs())}.`);
  });
}

interface Target {
  readonly kind: Kind;
  readonly id: string;
  readonly flags: TokenFlags;
}

/** Signs with the key of the environment. Without one, and when the command names a backend, the Worker signs. */
async function minted(cli: Cli, { kind, id, flags }: Target, request: CapabilityRequest): Promise<Capability> {
  const { COORDINATOR_CAPABILITY_KEY: keys = "" } = cli.env;
  const { generation, ...input } = request;
  if (keys.trim() !== "" && !namesBackend(flags) && generation !== "current") {
    readKeys(keys, "COORDINATOR_CAPABILITY_KEY");
    const record = kind === "group" ? { groupId: id } : { requestId: id };
    return mintCapability({ keys, ...record, ...input, generation, nowMs: cli.nowMs() });
  }
  const settings = settingsOf(flags, cli.env);
  if (settings.backend !== "http") throw new Failure(EXIT.usage, NEEDS_WORKER);
  // Refuses an address or a token that cannot be used, as for every other command.
  await connect(settings);
  const capability = await mintedByWorker(settings, { kind, id, request }, cli.signal);
  if (capability !== undefined) return capability;
  if (generation === "current") throw notFound({ kind, id }, lookedIn(settings));
  throw new Failure(EXIT.refused, "this Worker has no capabilities: deploy a later version");
}

const NEEDS_WORKER =
  "capabilities are for the Worker: set COORDINATOR_URL and COORDINATOR_TOKEN, or COORDINATOR_CAPABILITY_KEY";

function namesBackend({ backend, url, token }: GlobalOptions): boolean {
  return backend !== undefined || url !== undefined || token !== undefined;
}

function requestOf(verbs: readonly CapabilityVerb[], { task, stage, ttl, generation }: TokenFlags): CapabilityRequest {
  if (task === undefined && stage !== undefined) throw new Failure(EXIT.usage, "--stage needs --task");
  return {
    verbs: [...new Set(verbs)],
    ...(task === undefined ? {} : { tasks: task.map((id) => (stage === undefined ? id : { stage, id })) }),
    ...(ttl === undefined ? {} : { ttlSec: ttl }),
    ...(generation === undefined ? {} : { generation }),
  };
}

function oneMore(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

function generationOf(text: string): number | "current" {
  return text === "current" ? text : wholeNumber(0, Number.MAX_SAFE_INTEGER)(text);
}
