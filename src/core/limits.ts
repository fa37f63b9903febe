/** The most that the answers to one batch take, in bytes: what is not answered by then is not begun. */
export const MAX_ANSWER_BYTES = 4_194_304;
/** The most that one page of a list or of results takes, in bytes of UTF-8. A single item may be larger. */
export const MAX_PAGE_BYTES = 1_048_576;
