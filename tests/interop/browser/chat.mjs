// @xmpp/client over a WebSocket: logs in, answers bob, and says something in a room. Tells what it sees, a line each.
import { client, xml } from "@xmpp/client";

globalThis.WebSocket ??= (await import("ws")).WebSocket; // older Node has none

const [service, domain, username, password, room] = process.argv.slice(2);
const me = client({ service, domain, resource: "node", username, password });
const tell = (what) => console.log(JSON.stringify(what));

me.on("error", (error) => tell({ error: String(error) }));
me.on("online", async (jid) => {
  await me.send(xml("presence"));
  tell({ online: jid.toString() });
  const roster = await me.iqCaller.get(xml("query", "jabber:iq:roster"));
  tell({ roster: roster.getChildren("item").length });
  const enter = xml("presence", { to: `${room}/${username}` }, xml("x", "http://jabber.org/protocol/muc"));
  await me.send(enter);
});
me.on("stanza", async (stanza) => {
  const body = stanza.getChildText("body");
  if (stanza.is("presence") && stanza.attrs.from === `${room}/${username}`) {
    await me.send(xml("message", { to: room, type: "groupchat" }, xml("body", {}, "node is in the room")));
  } else if (stanza.is("message") && body) {
    tell({ from: stanza.attrs.from, body });
    if (stanza.attrs.type === "chat") {
      await me.send(xml("message", { to: stanza.attrs.from, type: "chat" }, xml("body", {}, `node heard: ${body}`)));
    }
    if (body === "good night") await me.stop();
  }
});
await me.start();
