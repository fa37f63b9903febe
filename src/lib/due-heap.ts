/** A binary heap of items by due time, the earliest first. */
export class DueHeap<Item = string> {
  readonly #entries: { readonly name: Item; readonly atMs: number }[] = [];

  get size(): number {
    return this.#entries.length;
  }

  /** The earliest due time; `undefined` when the heap is empty. */
  get nextAtMs(): number | undefined {
    return this.#entries[0]?.atMs;
  }

  push(name: Item, atMs: number): void {
    const entries = this.#entries;
    let i = entries.length;
    entries.push({ name, atMs });
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (this.#at(parent) <= atMs) break;
      this.#swap(i, parent);
      i = parent;
    }
  }

  clear(): void {
    this.#entries.length = 0;
  }

  /** Removes and returns the earliest entry if it is due. */
  popDue(nowMs: number): { readonly name: Item; readonly atMs: number } | undefined {
    const entries = this.#entries;
    const first = entries[0];
    if (first === undefined || first.atMs > nowMs) return undefined;
    const last = entries.pop();
    if (last !== undefined && entries.length > 0) {
      entries[0] = last;
      this.#sink();
    }
    return first;
  }

  #sink(): void {
    for (let i = 0; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < this.#entries.length && this.#at(child) < this.#at(least)) least = child;
      }
      if (least === i) return;
      this.#swap(i, least);
      i = least;
    }
  }

  #at(i: number): number {
    return this.#entries[i]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  #swap(i: number, j: number): void {
    const [a, b] = [this.#entries[i], this.#entries[j]];
    if (a === undefined || b === undefined) return;
    this.#entries[i] = b;
    this.#entries[j] = a;
  }
}
