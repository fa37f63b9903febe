/** Whether this platform ends a request's work with the request, unless `waitUntil` keeps it alive. */
export function isEphemeral(): boolean {
  const { navigator } = globalThis as { navigator?: { userAgent?: string } };
  return navigator?.userAgent === "Cloudflare-Workers" || "EdgeRuntime" in globalThis;
}
