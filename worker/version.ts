/** The package's version, which `GET /health` shows. */
export const VERSION = "0.1.0";
