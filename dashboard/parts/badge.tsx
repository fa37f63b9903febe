/** States that need a person, that wait, and that went well. All others are neutral. */
const TONES: Readonly<Record<string, string>> = {
  dead: "bad",
  failed: "bad",
  timed_out: "bad",
  stuck: "bad",
  unhandled: "warn",
  pending: "warn",
  completed: "good",
  complete: "good",
  delivered: "good",
  open: "busy",
};

/** A state as a word. Its colour only repeats the word. */
export function Badge({
  state,
  label = state.replace("_", " "),
}: {
  readonly state: string;
  readonly label?: string | undefined;
}) {
  return <span class={`badge ${TONES[state] ?? "plain"}`}>{label}</span>;
}
