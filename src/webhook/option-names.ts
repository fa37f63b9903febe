/** How a sender's errors name its options: by themselves, or by the variables that they come from. */
export interface OptionNames {
  readonly secrets: string;
  readonly allowedHosts: string;
  /** With the value that it must have. */
  readonly allowHttp: string;
  /** Names one of the `count` entries of a list. */
  entryOf(list: string, index: number, count: number): string;
}

export const OPTION_NAMES: OptionNames = {
  secrets: "secrets",
  allowedHosts: "allowedHosts",
  allowHttp: "allowHttp: true",
  entryOf: (list, index) => `${list}[${index}]`,
};
