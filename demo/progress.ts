export interface Step {
  readonly chunks: number;
  readonly allChunks: number;
  readonly documents: number;
  readonly allDocuments: number;
}

/** Where progress is shown: a terminal, or anything that takes text. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const BAR_WIDTH = 30;
/** Without a terminal: a line each time so much more is done. */
const LINE_EVERY = 0.2;
const CLEAR_LINE = "\r\u001b[K";

/** A bar that stays on one line of a terminal; elsewhere a plain line now and then. */
export class Progress {
  readonly #screen: Screen;
  #bar = "";
  #isOver = false;
  #nextLineAt = LINE_EVERY;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  /** A line of its own, above the bar. */
  say(text: string): void {
    this.#screen.write(this.#bar === "" ? `${text}\n` : `${CLEAR_LINE}${text}\n${this.#bar}`);
  }

  show(step: Step): void {
    if (this.#isOver) return;
    const share = (step.chunks + step.documents) / Math.max(1, step.allChunks + step.allDocuments);
    const counts = `${step.chunks} of ${step.allChunks} chunks, ${step.documents} of ${step.allDocuments} documents`;
    if (this.#screen.isTTY === true) {
      const filled = Math.round(share * BAR_WIDTH);
      this.#bar = `[${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}] ${counts}`.slice(
        0,
        (this.#screen.columns ?? 80) - 1,
      );
      this.#screen.write(`${CLEAR_LINE}${this.#bar}`);
      return;
    }
    if (share < this.#nextLineAt) return;
    this.say(`  ${Math.floor(share * 100)} %: ${counts}`);
    this.#nextLineAt = (Math.floor(share / LINE_EVERY + 1e-9) + 1) * LINE_EVERY;
  }

  /** Takes the bar away, for good. */
  end(): void {
    this.#isOver = true;
    if (this.#bar !== "") this.#screen.write(CLEAR_LINE);
    this.#bar = "";
  }
}
