/** How late alarms were. All objects of this Worker run in one isolate, and find the same lists here. */
export const lateness = { groups: [] as number[], bare: [] as number[] };
