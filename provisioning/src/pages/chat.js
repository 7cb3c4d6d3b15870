// Sets converse.js up for this service alone: nothing is asked of anybody else. Who is to sign in stands behind the address's `#`,
// which no server sees.
const { program, files, domain, alone, rooms, uploads } = document.body.dataset;
const { default: converse } = await import(program);
const jid = new URLSearchParams(location.hash.slice(1)).get("jid") ?? undefined;
if (jid) history.replaceState(null, "", location.pathname);
const local = alone && jid?.endsWith(`@${alone}`) ? jid.slice(0, -alone.length - 1) : jid;
// Its foot shows pictures of sponsors from elsewhere.
customElements.define("converse-footer", class extends HTMLElement {});
const trusted = [location.hostname, uploads.split(":")[0]];
converse.initialize({
  assets_path: files,
  authentication: "login",
  discover_connection_methods: false,
  websocket_url: `wss://${location.host}/xmpp-websocket`,
  bosh_service_url: `https://${location.host}/http-bind`,
  // One domain is locked; of several each person writes theirs.
  ...(alone ? { locked_domain: alone } : { default_domain: domain }),
  jid: local,
  muc_domain: rooms,
  muc_nickname_from_jid: true,
  i18n: document.documentElement.lang,
  // Who uses a browser of many people leaves nothing there unless they say otherwise.
  allow_user_trust_override: "off",
  allow_registration: false,
  autocomplete_providers_url: "",
  embed_3rd_party_media_players: false,
  allowed_audio_domains: trusted,
  allowed_image_domains: trusted,
  allowed_video_domains: trusted,
  view_mode: "fullscreen",
  loglevel: "warn",
});
