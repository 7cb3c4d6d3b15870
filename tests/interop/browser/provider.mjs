// A provider of OpenID Connect (oidc-provider), run and not imitated: anybody signs in under any name with any password, until they are ended.
// Arguments: port, where the client comes back to, whether it can be asked about tokens, whether it gives refresh tokens (or `google`). Beside it: POST /test/end?sub=NAME,
// /test/rename?sub=NAME&to=OTHER, GET /test/token?sub=NAME&as=opaque|jwt|other.

import { generateKeyPairSync } from "node:crypto";
import http from "node:http";
import * as oidc from "oidc-provider";

const [port, redirect, introspection, refresh] = process.argv.slice(2);
const renamed = new Map();
const issuer = `http://127.0.0.1:${port}`;
const key = (kind, options, alg) => ({ ...generateKeyPairSync(kind, options).privateKey.export({ format: "jwk" }), alg, use: "sig" });
const ended = new Set();
const offline = new Set();
const grants = new Map();

const provider = new oidc.Provider(issuer, {
  jwks: { keys: [key("rsa", { modulusLength: 2048 }, "RS256"), key("ec", { namedCurve: "P-256" }, "ES256")] },
  clients: [
    {
      client_id: "cusax",
      client_secret: "a secret: with/odd+letters",
      redirect_uris: [redirect],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      id_token_signed_response_alg: "ES256",
    },
    { client_id: "other", client_secret: "another", redirect_uris: [redirect], response_types: ["code"], grant_types: ["authorization_code"] },
  ],
  claims: { openid: ["sub"], profile: ["name", "preferred_username"] },
  findAccount: (_, sub) =>
    ended.has(sub) ? undefined : { accountId: sub, claims: () => ({ sub, preferred_username: sub, name: renamed.get(sub) ?? `${sub[0].toUpperCase()}${sub.slice(1)} of the provider` }) },
  features: {
    devInteractions: { enabled: true },
    introspection: { enabled: introspection === "true" },
    resourceIndicators: { enabled: true, defaultResource: () => undefined, getResourceServerInfo: () => ({ scope: "openid", audience: "cusax", accessTokenFormat: "jwt" }) },
  },
  // Or as Google does, to who was sent with access_type=offline.
  extraParams: ["access_type"],
  issueRefreshToken: (_, __, code) => (refresh === "google" ? offline.has(code.accountId) : refresh === "true" && code.scopes.has("offline_access")),
  cookies: { keys: ["a key of the tests"] },
  ttl: { AccessToken: 600, RefreshToken: 3600, Grant: 3600, Session: 3600, Interaction: 600 },
});

provider.on("authorization.success", ({ oidc }) => {
  if (oidc.params.access_type === "offline") offline.add(oidc.session.accountId);
});

provider.on("grant.success", ({ oidc: { entities } }) => {
  const sub = entities.Account?.accountId;
  if (sub) grants.set(sub, [...(grants.get(sub) ?? []), entities.Grant]);
});

async function mint(sub, as) {
  const client = await provider.Client.find(as === "other" ? "other" : "cusax");
  const grant = new provider.Grant({ accountId: sub, clientId: client.clientId });
  grant.addOIDCScope("openid profile");
  const grantId = await grant.save();
  const token = new provider.AccessToken({ accountId: sub, client, grantId, gty: "authorization_code", scope: "openid profile" });
  if (as === "jwt") token.resourceServer = new provider.ResourceServer("urn:cusax", { scope: "openid profile", audience: "cusax", accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } });
  return token.save();
}

// What is shown to who is told that somebody signed out (Back-Channel Logout 1.0).
async function logout(sub) {
  const token = new provider.IdToken({ sub }, { client: await provider.Client.find("cusax"), ctx: undefined });
  token.mask = { sub: null };
  token.set("events", { "http://schemas.openid.net/event/backchannel-logout": {} });
  token.set("jti", `${Math.random()}`);
  return token.issue({ use: "logout" });
}

async function end(sub) {
  ended.add(sub);
  for (const grant of grants.get(sub) ?? []) {
    await provider.RefreshToken.revokeByGrantId(grant.jti);
    await provider.AccessToken.revokeByGrantId(grant.jti);
    await grant.destroy();
  }
}

http
  .createServer(async (request, response) => {
    const url = new URL(request.url, issuer);
    const sub = url.searchParams.get("sub");
    if (url.pathname === "/test/token") response.end(await mint(sub, url.searchParams.get("as")));
    else if (url.pathname === "/test/end") response.end(String(await end(sub)));
    else if (url.pathname === "/test/logout") response.end(await logout(sub));
    else if (url.pathname === "/test/rename") response.end(String(renamed.set(sub, url.searchParams.get("to"))));
    else if (url.pathname === "/test/back") response.end(String(ended.delete(sub)));
    else provider.callback()(request, response);
  })
  .listen(Number(port), "127.0.0.1", () => console.log("ready"));
