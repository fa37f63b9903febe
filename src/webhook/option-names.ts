/** How a sender's errors name its options: by the option's name, or by the environment variable that holds it. */
export interface OptionNames {
  readonly secrets: string;
  readonly allowedHosts: string;
  /** With the value that it must have. */
  readonly allowHttp: string;
  /** Returns a name for one of the `count` entries of a list. */
  entryOf(list: string, index: number, count: number): string;
}

export const OPTION_NAMES: OptionNames = {
  secrets: "secrets",
  allowedHosts: "allowedHosts",
  allowHttp: "allowHttp: true",
  entryOf: (list, index) => `${list}[${index}]`,
};
