/** Public methods take a few steps of the microtask queue before they send. */
const TURN_STEPS = 10;

/**
 * Resolves so many steps of the microtask queue later that the other operations of this turn of the event loop have begun. A
 * longer wait, or one for a timer or an answer, must not be: where requests of a Worker share a coordinator, another of them
 * could come in between, and none may wait for what another has sent.
 */
export async function endOfTurn(): Promise<void> {
  for (let step = 0; step < TURN_STEPS; step++) await null;
}
