/** The token of a tenant without groups. */
export const EMPTY_TOKEN = "token-of-an-empty-tenant";
