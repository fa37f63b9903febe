import { Command, Option } from "commander";
import { VERSION } from "../worker/version.js";
import { addCancel } from "./commands/cancel.js";
import { addCompletion } from "./commands/completion.js";
import { addDev } from "./commands/dev.js";
import { addExtend } from "./commands/extend.js";
import { addLs } from "./commands/ls.js";
import { addPurge } from "./commands/purge.js";
import { addRedeliver } from "./commands/redeliver.js";
import { addRetry } from "./commands/retry.js";
import { addSeal } from "./commands/seal.js";
import { addShow } from "./commands/show.js";
import { addTasks } from "./commands/tasks.js";
import { addToken } from "./commands/token.js";
import { addWatch } from "./commands/watch.js";
import { addWhy } from "./commands/why.js";
import { BACKEND_NAMES } from "./settings.js";
import type { Cli } from "./terminal.js";

const AFTER_HELP = `
Settings:
  COORDINATOR_URL, COORDINATOR_TOKEN                  the Worker
  UPSTASH_REDIS_REST_URL, UPSTASH_REDIS_REST_TOKEN    an Upstash Redis database
  COORDINATOR_CAPABILITY_KEY                          token: signs here, without a call
  NO_COLOR                                            no colours

Exit codes:
  0  done                         3  no such group or request
  1  refused; watch: not well     4  the backend does not answer
  2  wrong arguments or settings  130  Ctrl-C

A group is stuck? Begin with: npx edge-coordinator why <id>`;

/** Returns the command line: each command in a file of its own. Errors are thrown, and nothing ends the process. */
export function programOf(cli: Cli): Command {
  const { terminal } = cli;
  const program = new Command("edge-coordinator")
    .description("Looks at the groups and requests of edge-coordinator, and mends them.")
    .version(VERSION)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      getOutHelpWidth: () => terminal.columns,
      getErrHelpWidth: () => terminal.columns,
      getOutHasColors: () => terminal.hasColour,
      getErrHasColors: () => terminal.hasColour,
    })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError("(--help lists the options)")
    .addOption(new Option("--backend <name>", "where the groups are").choices(BACKEND_NAMES))
    .option("--url <url>", "the address, instead of the variable")
    .option("--token <token>", "the token; other processes can read it here, so prefer the variable")
    .option("--key-prefix <prefix>", 'Upstash: the prefix of all keys (default: "coord:")')
    .option("--allow-http", "http to hosts other than this one: the token is sent unencrypted")
    .option("--json", "print JSON, for programs")
    .option("--no-color", "no colours")
    .addHelpText("after", AFTER_HELP);
  for (const add of COMMANDS) add(program, cli);
  return program;
}

const COMMANDS: readonly ((program: Command, cli: Cli) => void)[] = [
  addWhy,
  addLs,
  addShow,
  addTasks,
  addWatch,
  addRedeliver,
  addRetry,
  addExtend,
  addSeal,
  addCancel,
  addPurge,
  addToken,
  addDev,
  addCompletion,
];
