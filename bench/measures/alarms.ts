import type { Measure } from "../bench.js";
import { atLeast, figure, type Result } from "../result.js";
import { median, quantile } from "../statistics.js";

/** How late an object's alarm is in workerd: a group's deadline, and a bare alarm set for the same instant. */
export const alarms: Measure = {
  name: "alarms",
  title: "How late an alarm is, in workerd",
  async run({ lab, scale }) {
    const { groups, bare } = await lab.worker.do("alarms", { alarms: scale.alarms });
    return [
      ...latenessOf("ours, a group's deadline, in its handler", groups),
      ...latenessOf("a bare alarm, in its method", bare),
    ];
  },
};

function latenessOf(arm: string, lateMs: readonly number[]): Result[] {
  const target = arm.startsWith("ours") ? atLeast(0) : undefined;
  return [
    figure(Math.min(...lateMs), "ms", { what: "the earliest", arm, target, note: `of ${lateMs.length} alarms` }),
    figure(median(lateMs), "ms", { what: "the median", arm }),
    figure(quantile(lateMs, 0.99), "ms", { what: "the 99th percentile", arm }),
  ];
}
