/** An invariant that does not hold: the run ends with it. */
export class Violation extends Error {
  override readonly name = "Violation";
}
