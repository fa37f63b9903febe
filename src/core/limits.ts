/** How many bytes the answers of one batch take at most. Operations that find no room are not run. */
export const MAX_ANSWER_BYTES = 4_194_304;
/** How many bytes of UTF-8 one page of a list or of results takes at most. A single item may be larger. */
export const MAX_PAGE_BYTES = 1_048_576;
/** How much of an error message is kept, and how much of it a status shows, in bytes of UTF-8. */
export const MAX_ERROR_BYTES = 1_024;
export const MAX_BRIEF_BYTES = 256;
