/** The longest fingerprint of a run, in bytes of UTF-8. */
export const MAX_FINGERPRINT_BYTES = 256;
/** The largest value of a run that is kept, in bytes of JSON. */
export const MAX_RUN_VALUE_BYTES = 16_384;
