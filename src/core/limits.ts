/** How many bytes the answers of one batch take at most. Operations that find no room are not run. */
export const MAX_ANSWER_BYTES = 4_194_304;
/** How many bytes of UTF-8 one page of a list or of results takes at most. A single item may be larger. */
export const MAX_PAGE_BYTES = 1_048_576;
