import type { CommandTree, OptionWords } from "./tree.js";

/** Returns the completion script of fish. */
export function fishScript({ name, options, commands }: CommandTree): string {
  const lines = [
    `# ${name} completion for fish. Load it with: ${name} completion fish | source`,
    `complete -c ${name} -f`,
    ...options.map((option) => `complete -c ${name} ${flagsOf(option)}`),
  ];
  for (const command of commands) {
    lines.push(`complete -c ${name} -n __fish_use_subcommand -a ${command.name} -d ${word(command.description)}`);
    const within = `-n ${word(`__fish_seen_subcommand_from ${command.name}`)}`;
    for (const option of command.options) lines.push(`complete -c ${name} ${within} ${flagsOf(option)}`);
    if (command.values.length > 0) lines.push(`complete -c ${name} ${within} -a ${word(command.values.join(" "))}`);
  }
  return `${lines.join("\n")}\n`;
}

function flagsOf({ long, short, description, takesValue, values }: OptionWords): string {
  const names = `-l ${long.replace(/^--/, "")}${short === undefined ? "" : ` -s ${short.replace(/^-/, "")}`}`;
  const value = takesValue ? ` -x${values.length === 0 ? "" : ` -a ${word(values.join(" "))}`}` : "";
  return `${names}${value} -d ${word(description)}`;
}

const word = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
