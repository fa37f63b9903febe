import type { CommandTree, CommandWords, OptionWords } from "./tree.js";

/** Returns the completion script of zsh. */
export function zshScript({ name, options, commands }: CommandTree): string {
  const described = commands.map(({ name: each, description }) => `    ${word(`${each}:${description}`)}`);
  return `#compdef ${name}
# ${name} completion for zsh. Load it with: source <(${name} completion zsh)
_edge_coordinator() {
  local -a commands
  commands=(
${described.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case "$words[2]" in
${commands.map((command) => caseOf(command, options)).join("\n")}
  esac
}
compdef _edge_coordinator ${name}
`;
}

function caseOf(command: CommandWords, globals: readonly OptionWords[]): string {
  const specs = [...command.options, ...globals].map((option) => word(specOf(option)));
  const argument = command.values.length === 0 ? "*: :" : `*: :(${command.values.join(" ")})`;
  return `    ${command.name}) _arguments ${[...specs, word(argument)].join(" ")} ;;`;
}

function specOf({ long, description, takesValue, values }: OptionWords): string {
  const text = description.replace(/[[\]]/g, "").replaceAll(":", "\\:");
  const value = values.length === 0 ? ":value: " : `:value:(${values.join(" ")})`;
  return `${long}[${text}]${takesValue ? value : ""}`;
}

const word = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
