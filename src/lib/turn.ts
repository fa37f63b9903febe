/** Public methods take a few microtasks before they send. */
const TURN_STEPS = 10;

/**
 * Resolves after enough microtasks that the other operations of this turn of the event loop have begun. It must not
 * wait longer, nor for a timer or I/O. Where requests of a Worker share a coordinator, another request could then come
 * in between. A request must not wait for I/O of another request.
 */
export async function endOfTurn(): Promise<void> {
  for (let step = 0; step < TURN_STEPS; step++) await null;
}
