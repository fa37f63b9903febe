/** Whether this is a platform whose requests take their work with them, unless `waitUntil` keeps it. */
export function isEphemeral(): boolean {
  const { navigator } = globalThis as { navigator?: { userAgent?: string } };
  return navigator?.userAgent === "Cloudflare-Workers" || "EdgeRuntime" in globalThis;
}
