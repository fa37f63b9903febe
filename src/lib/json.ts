/** Returns the value of a JSON text; `undefined` for any other text. The JSON parser's own error would quote the text. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
