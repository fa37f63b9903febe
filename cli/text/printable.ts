/** Characters that steer a terminal or reorder a line: controls, formats, separators, lone surrogates. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Returns a text that is safe on a terminal. Ids, errors and metadata come from callers: an escape sequence in them could
 * hide lines, or set the terminal's title.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escaped);
}

/** Returns a value as JSON that is safe on a terminal, and that a parser reads as the same value. */
export function printableJson(value: unknown, indent?: number): string {
  // Inside a JSON text only the line breaks between its parts are control characters, and an indented text needs them.
  return JSON.stringify(value, null, indent).replace(UNPRINTABLE, (character) =>
    character === "\n" ? character : jsonEscaped(character),
  );
}

function escaped(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\r") return "\\r";
  if (character === "\t") return "\\t";
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

function jsonEscaped(character: string): string {
  return Array.from({ length: character.length }, (_, i) => {
    return `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`;
  }).join("");
}

/** Returns a text in quotes, cut after so many characters. */
export function quoted(text: string, most = 200): string {
  const characters = [...text];
  const cut = characters.length > most ? `${characters.slice(0, most).join("")}…` : text;
  return `"${printable(cut)}"`;
}

const PLAIN_ARGUMENT = /^[\w@%+=:,./][\w@%+=:,./-]*$/;

/** Returns a word as a shell takes it, so that a printed command can be pasted. */
export function shellWord(word: string): string {
  if (PLAIN_ARGUMENT.test(word)) return word;
  if (printable(word) === word) return `'${word.replaceAll("'", "'\\''")}'`;
  return `$'${[...word].map(ansiC).join("")}'`;
}

/** Returns an id and flags as the arguments of a printed command. Flags stand before an id that looks like one, and `--` between. */
export function idWithFlags(id: string, ...flags: readonly string[]): string {
  const word = shellWord(id);
  return (id.startsWith("-") ? [...flags, "--", word] : [word, ...flags]).join(" ");
}

/** Returns a character inside `$'…'`. */
function ansiC(character: string): string {
  if (character === "'" || character === "\\") return `\\${character}`;
  if (printable(character) === character) return character;
  return [...new TextEncoder().encode(character)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}
