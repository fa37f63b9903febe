import type { CommandTree, OptionWords } from "./tree.js";

/** Returns the completion script of bash. */
export function bashScript({ name, options, commands }: CommandTree): string {
  const names = commands.map((command) => command.name).join(" ");
  const values = [
    ...commands.flatMap((command) => command.options.map((option) => valueCase(command.name, option))),
    ...options.map((option) => valueCase("*", option)),
  ];
  const cases = commands.map((command) => {
    const words = [...command.values, ...wordsOf(command.options), ...wordsOf(options)].join(" ");
    return `    ${command.name}) words="${words}" ;;`;
  });
  return `# ${name} completion for bash. Load it with: source <(${name} completion bash)
_edge_coordinator() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD - 1]}" command="" word words
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in
      ${commands.map((command) => command.name).join("|")}) command="$word"; break ;;
    esac
  done
  case "$command $before" in
${values.flat().join("\n")}
  esac
  case "$command" in
    "") words="${names} ${wordsOf(options).join(" ")}" ;;
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _edge_coordinator ${name}
`;
}

const wordsOf = (options: readonly OptionWords[]): string[] => options.map(({ long }) => long);

/** The value of a command's option: one of its choices, or nothing that can be completed. No line for one without a value. */
function valueCase(command: string, { long, takesValue, values }: OptionWords): string[] {
  if (!takesValue) return [];
  const pattern = command === "*" ? `*" ${long}"` : `"${command} ${long}"`;
  return [`    ${pattern}) COMPREPLY=($(compgen -W "${values.join(" ")}" -- "$current")); return ;;`];
}
