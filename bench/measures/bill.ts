import { onUpstash } from "../arms/ours.js";
import { PollingArm } from "../arms/polling.js";
import type { Measure } from "../bench.js";
import { BILL_TASKS } from "../bill.js";
import type { Lab } from "../lab.js";
import { atMost, figure } from "../result.js";

const POLLED_MS = 5_000;
const DEADLINE_SEC = 3_600;
const NO_DEADLINE = "no deadline; neither the first nor the last";
const WITH_DEADLINE = "the fifth command restores the group's line in the due queue, should the server have lost it";
const ids = Array.from({ length: BILL_TASKS }, (_, n) => `task-${n}`);

/** What a group of 100 tasks is billed for, one waiter's share and a second of waiting apart. */
export const bill: Measure = {
  name: "bill",
  title: `What a group of ${BILL_TASKS} tasks is billed for`,
  async run({ lab }) {
    await lab.setRtt(0);
    const { groups } = onUpstash(lab.rest);
    await groups.status("warm");
    const oneByOne = await commandsOf(lab, async () => {
      await groups.register("one", ids);
      for (const id of ids) await groups.ack("one", id);
    });
    const batches = await commandsOf(lab, async () => {
      await groups.register("batches", ids);
      await groups.ack("batches", ids);
    });
    const look = await commandsOf(lab, () => groups.status("one"));
    const polling = new PollingArm(lab.rest);
    const acks = await commandsOf(lab, async () => {
      await polling.completion.register("g", BILL_TASKS, { onComplete: async () => {} });
      for (let n = 0; n < BILL_TASKS; n++) await polling.completion.ack("g");
    });
    const waiting = await commandsOf(lab, async () => {
      await polling.requests.registerRequest("r");
      await polling.requests.registerRoot("r", "open");
      await polling.completion.register("open", 1, { onComplete: async () => {} });
      polling.completion.start();
      await polling.requests.wait("r", POLLED_MS).catch(() => {});
      polling.completion.stop();
    });
    const ack = await commandsOfAck(lab, 0);
    const timedAck = await commandsOfAck(lab, DEADLINE_SEC);
    const { rows } = await lab.worker.do("rowsOfGroup", {
      group: `bill-${crypto.randomUUID()}`,
      tasks: ids,
      isIndexed: false,
    });
    await lab.clear();
    const commands = "Redis commands, inner ones of scripts too";
    return [
      figure(oneByOne, "commands", { what: commands, arm: "ours, one by one" }),
      figure(batches, "commands", { what: commands, arm: "ours, 100 a call" }),
      figure(ack, "commands", { what: commands, arm: "ours, one ack", target: atMost(4), note: NO_DEADLINE }),
      figure(timedAck, "commands", {
        what: commands,
        arm: "ours, one ack, with a deadline",
        target: atMost(4),
        note: WITH_DEADLINE,
      }),
      figure(look, "commands", { what: commands, arm: "ours, one look of a waiter" }),
      figure(acks, "commands", { what: commands, arm: "polling design, acks alone" }),
      figure(waiting / (POLLED_MS / 1_000), "commands", {
        what: `${commands}, a second`,
        arm: "polling design, one owner and one waiter",
      }),
      figure(rows, "rows", { what: "SQLite rows written", arm: "ours, one by one" }),
    ];
  },
};

/** EVALSHA and the commands inside it. The first ack of a group extends its record. */
async function commandsOfAck(lab: Lab, timeoutSec: number): Promise<number> {
  const { groups } = onUpstash(lab.rest);
  const group = `acked-${timeoutSec}`;
  await groups.register(group, ids, { timeoutSec });
  const [first = "", ...others] = ids;
  await groups.ack(group, first);
  const between = others.slice(0, -1);
  const commands = await commandsOf(lab, async () => {
    for (const id of between) await groups.ack(group, id);
  });
  return commands / between.length;
}

async function commandsOf({ commands }: Lab, work: () => Promise<unknown>): Promise<number> {
  await commands.reset();
  await work();
  return commands.total();
}
