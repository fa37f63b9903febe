/** Returns the texts of a variable that holds several, separated by spaces or line breaks, while they rotate. */
export function separated(text: string): string[] {
  return text.split(/\s+/).filter((part) => part !== "");
}
