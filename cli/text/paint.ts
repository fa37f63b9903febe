const CODES = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39] } as const;

export type Colour = keyof typeof CODES;

/** Returns a text in a colour, or unchanged where colours are off. */
export type Paint = (colour: Colour, text: string) => string;

/** Returns whether an output takes colours. See https://no-color.org: `NO_COLOR` is any text that is not empty. */
export function takesColour(env: Readonly<Record<string, string | undefined>>, isTTY: boolean): boolean {
  return isTTY && !env.NO_COLOR && env.TERM !== "dumb";
}

export function painter(hasColour: boolean): Paint {
  if (!hasColour) return (_, text) => text;
  return (colour, text) => `\u001b[${CODES[colour][0]}m${text}\u001b[${CODES[colour][1]}m`;
}

/** Returns the colour of a state. */
export function colourOf(state: string): Colour {
  if (state === "completed" || state === "complete" || state === "delivered" || state === "succeeded") return "green";
  if (state === "open" || state === "pending" || state === "unhandled") return "yellow";
  return state === "none" ? "dim" : "red";
}
