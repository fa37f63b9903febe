import { createHmac } from "node:crypto";

/** Makes keys and tokens by hand, with none of the library's code. */

/** A key of 32 bytes, each of them `fill`. */
export function keyOf(fill: number): string {
  return `capk_${Buffer.alloc(32, fill).toString("base64url")}`;
}

export function macOf(content: string, key: string | Buffer): string {
  const bytes = typeof key === "string" ? Buffer.from(key.slice(5), "base64url") : key;
  return createHmac("sha256", bytes).update(content).digest("base64url");
}

/** Returns the header of the key's tokens. */
export function headerOf(key: string, typ: "capability" | "callback" = "capability"): string {
  const kid = Buffer.from(macOf("edge-coordinator key id", key), "base64url").subarray(0, 12).toString("base64url");
  return `{"alg":"HS256","kid":"${kid}","typ":"${typ}+jwt"}`;
}

export const encoded = (text: string): string => Buffer.from(text, "utf8").toString("base64url");
export const decoded = (segment: string): string => Buffer.from(segment, "base64url").toString("utf8");

/** Returns a token of any header and payload, correctly signed. */
export function signed(key: string, payload: string, header = headerOf(key)): string {
  const content = `${encoded(header)}.${encoded(payload)}`;
  return `${content}.${macOf(content, key)}`;
}

/** The signed tokens that must be refused, all made of the payload of a valid one. */
export function forgeries(valid: string, key: string): Readonly<Record<string, string>> {
  const [head = "", body = "", mac = ""] = valid.split(".");
  const [header, payload] = [decoded(head), decoded(body)];
  const claims = JSON.parse(payload) as { iat: number; exp: number; verbs: string[] };
  const { iat, exp } = claims;
  const changed = (from: string | RegExp, to: string): string => {
    const other = payload.replace(from, to);
    if (other === payload) throw new Error(`the payload has no ${from}`);
    return signed(key, other);
  };
  const headed = (other: string): string => signed(key, payload, other);
  const other = keyOf(201);
  return {
    "alg none, no signature": `${encoded(header.replace("HS256", "none"))}.${body}.`,
    "alg none, any signature": `${encoded(header.replace("HS256", "none"))}.${body}.${mac}`,
    "alg none, signed": headed(header.replace("HS256", "none")),
    "alg NONE, signed": headed(header.replace("HS256", "NONE")),
    "alg HS512, signed": headed(header.replace("HS256", "HS512")),
    "alg RS256, signed": headed(header.replace("HS256", "RS256")),
    "no alg": headed(header.replace('"alg":"HS256",', "")),
    "another kid": headed(header.replace(/"kid":"[^"]*"/, '"kid":"AAAAAAAAAAAAAAAA"')),
    "no kid": headed(header.replace(/"kid":"[^"]*",/, "")),
    "another typ": headed(header.replace("capability+jwt", "JWT")),
    "the typ of callbacks": headed(headerOf(key, "callback")),
    "an embedded key": headed(header.replace("}", ',"jwk":{"kty":"oct","k":"AAAA"}}')),
    "a header with a space": headed(header.replace(",", ", ")),
    "a header with a second alg": headed(header.replace("}", ',"alg":"HS256"}')),
    "another key under the same kid": (() => {
      const content = `${head}.${body}`;
      return `${content}.${macOf(content, other)}`;
    })(),
    "a MAC made with the kid": `${head}.${body}.${macOf(`${head}.${body}`, Buffer.from(JSON.parse(header).kid))}`,
    "a MAC made with a public key": `${head}.${body}.${macOf(
      `${head}.${body}`,
      Buffer.from("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"),
    )}`,
    "a MAC made with an empty key": `${head}.${body}.${macOf(`${head}.${body}`, Buffer.alloc(0))}`,
    "a MAC of the payload alone": `${head}.${body}.${macOf(body, key)}`,
    "no MAC": `${head}.${body}.`,
    "half a MAC": `${head}.${body}.${mac.slice(0, 22)}`,
    "a MAC with other unused bits": `${valid.slice(0, -1)}${nextOf(valid.at(-1) ?? "")}`,
    "a MAC with padding": `${valid}=`,
    "a MAC in base64": `${head}.${body}.${Buffer.from(mac, "base64url").toString("base64")}`,
    "a fourth segment": `${valid}.${mac}`,
    "another payload under the same MAC": `${head}.${encoded(payload.replace(`${exp}`, `${exp + 1}`))}.${mac}`,
    "exp as text": changed(/"exp":\d+/, `"exp":"${exp}"`),
    "exp as a fraction": changed(/"exp":\d+/, `"exp":${exp}.5`),
    "exp as a float": changed(/"exp":\d+/, `"exp":${exp}.0`),
    "exp a year away": changed(/"exp":\d+/, `"exp":${exp + 31_536_000}`),
    "exp beyond every date": changed(/"exp":\d+/, `"exp":9007199254740991`),
    "exp before iat": changed(/"exp":\d+/, `"exp":${iat - 1}`),
    "no exp": changed(/,"exp":\d+/, ""),
    "no iat": changed(/"iat":\d+,/, ""),
    "iat in the future": changed(/"iat":\d+,"exp":\d+/, `"iat":${iat + 120},"exp":${exp + 120}`),
    expired: changed(/"iat":\d+,"exp":\d+/, `"iat":${iat - 1_000},"exp":${iat - 100}`),
    "a second exp": changed("}", `,"exp":${exp}}`),
    "a second group": changed("{", '{"group":"other",'),
    "a tenant": changed("}", ',"tenant":"b"}'),
    "an unknown claim": changed("}", ',"nbf":0}'),
    "a space": changed(",", ", "),
    "a line break at the end": changed("}", "}\n"),
    "an escape": changed('"group"', '"\\u0067roup"'),
    "another order of claims": changed(/^\{(.*),("iat":\d+,"exp":\d+)\}$/, "{$2,$1}"),
    "no group": changed(/"group":"[^"]*",/, ""),
    "a group and a request": changed("{", '{"request":"x",'),
    "an empty group": changed(/"group":"[^"]*"/, '"group":""'),
    "a group as a number": changed(/"group":"[^"]*"/, '"group":1'),
    "a generation as text": changed(/"generation":(\d+)/, '"generation":"$1"'),
    "a generation in another notation": changed(/"generation":(\d+)/, '"generation":$1e0'),
    "a negative generation": changed(/"generation":\d+/, '"generation":-1'),
    "a generation of null": changed(/"generation":\d+/, '"generation":null'),
    "an unknown verb": changed(/"verbs":\[/, '"verbs":["register",'),
    "a verb twice": changed(/"verbs":\["ack"/, '"verbs":["ack","ack"'),
    "no verbs": changed(/"verbs":\[[^\]]*\]/, '"verbs":[]'),
    "verbs as text": changed(/"verbs":\[[^\]]*\]/, '"verbs":"ack"'),
    "no tasks at all": changed(/"tasks":\[[^\]]*\]\]/, '"tasks":[]'),
    "tasks as text": changed(/"tasks":\[[^\]]*\]\]/, '"tasks":"a"'),
    "tasks of null": changed(/"tasks":\[[^\]]*\]\]/, '"tasks":null'),
    "a task as a number": changed(/"tasks":\[/, '"tasks":[1,'),
    "a payload that is a list": signed(key, `[${payload}]`),
    "a payload that is no JSON": signed(key, "group"),
    "a payload that is no UTF-8": (() => {
      const content = `${head}.${Buffer.from([0x7b, 0xff, 0x7d]).toString("base64url")}`;
      return `${content}.${macOf(content, key)}`;
    })(),
    "a byte order mark": signed(key, `\ufeff${payload}`),
  };
}

/** The next character of the alphabet: it differs in the lowest bit, which the last character of a MAC does not use. */
function nextOf(char: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return alphabet[alphabet.indexOf(char) + 1] ?? "";
}
