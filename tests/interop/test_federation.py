"""Other domains: a real Prosody and a real ejabberd, by certificate and by dialback; messages, presence, rooms, events."""

import asyncio
import http.client
import socket
import ssl
import urllib.parse
from xml.etree import ElementTree

import pytest
import slixmpp
from chat import Chat
from conftest import Service, free_port, wait_until
from foreign import Ejabberd, Prosody
from zone import Authority, Zone

OURS = "cusax.example"


class World:
    """A service of ours, a server of another domain, and how they find each other."""

    def __init__(self, folder, kind, by):
        self.zone, self.authority = Zone(), Authority(folder / "authority")
        certificate, key = self.authority.certify(OURS)
        port = free_port(socket.SOCK_STREAM)
        # ejabberd asks the name server for services, and the system for addresses.
        self.zone.announce(OURS, "localhost", "127.0.0.1", port)
        self.theirs = kind(folder, self.zone, self.authority, trusts=by == "certificate")
        trust = {"CUSAX_TLS__TRUST": str(self.authority.ca)} if by == "certificate" else {}
        self.ours = Service(
            folder,
            OURS,
            CUSAX_XMPP__S2S=f"127.0.0.1:{port}",
            CUSAX_SIP__DNS=f"127.0.0.1:{self.zone.port}",
            CUSAX_TLS__CERTIFICATE=str(certificate),
            CUSAX_TLS__KEY=str(key),
            CUSAX_XMPP__FEDERATION__SECURITY="verified" if by == "certificate" else "encrypted",
            CUSAX_TELEMETRY__LEVEL="debug",
            **trust,
        )
        self.ours.ca = self.authority.ca

    def start(self):
        self.ours.start()
        self.ours.add("juliet", "nurse")
        self.theirs.start()
        return self

    def stop(self):
        self.theirs.stop()
        self.ours.stop()
        self.zone.close()

    async def meet(self):
        """juliet of ours and romeo of theirs."""
        juliet = await Chat("juliet", self.ours).connect()
        romeo = await Chat("romeo", self.theirs).connect()
        for one in (juliet, romeo):
            one.auto_authorize = one.auto_subscribe = True
            one.add_event_handler("groupchat_presence", one.presences.append)
            for plugin in ("xep_0163", "xep_0115", "xep_0118", "xep_0313", "xep_0059"):
                one.register_plugin(plugin)
        return juliet, romeo


KINDS = [(Prosody, "certificate"), (Prosody, "dialback"), (Ejabberd, "certificate"), (Ejabberd, "dialback")]


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0].__name__.lower()}-{kind[1]}")
def world(request, tmp_path):
    running = World(tmp_path, *request.param)
    try:
        running.start()
        yield running
    finally:
        running.stop()


def said(text):
    return lambda message: message["body"] == text


def test_messages_pass_both_ways(world):
    async def story():
        juliet, romeo = await world.meet()
        romeo.send_message("juliet@" + OURS, "soft!", mtype="chat")
        got = await juliet.got(said("soft!"), "what romeo says", 20)
        assert got["from"] == romeo.boundjid
        juliet.send_message(romeo.boundjid, "ay me & <more>", mtype="chat")
        got = await romeo.got(said("ay me & <more>"), "what juliet says", 20)
        assert got["from"] == juliet.boundjid
        for n in range(50):
            juliet.send_message("romeo@" + world.theirs.domain, f"{n}", mtype="chat")
        await romeo.got(said("49"), "all of it", 20)
        assert [m["body"] for m in romeo.messages if m["body"].isdigit()] == [str(n) for n in range(50)]
        # Nobody is there of that name.
        juliet.send_message("nobody@" + world.theirs.domain, "hello?", mtype="chat")
        refused = await juliet.got(lambda m: m["type"] == "error", "a refusal", 20)
        assert refused["error"]["condition"] == "service-unavailable"
        await juliet.close()
        await romeo.close()

    asyncio.run(story())
    assert "xmpp_server_s2s_failures_total 0" in world.ours.metrics()


def test_contacts_see_each_other(world):
    async def story():
        juliet, romeo = await world.meet()
        juliet.send_presence_subscription("romeo@" + world.theirs.domain)
        await juliet.saw(lambda p: p["from"] == romeo.boundjid and p["type"] == "available", "romeo", 20)
        await romeo.saw(lambda p: p["from"] == juliet.boundjid and p["type"] == "available", "juliet", 20)
        romeo.send_presence(pshow="away", pstatus="in Mantua")
        await juliet.saw(lambda p: p["show"] == "away" and p["status"] == "in Mantua", "where he is", 20)
        # Who comes later asks, and is shown.
        await juliet.close()
        await romeo.saw(lambda p: p["from"] == juliet.boundjid and p["type"] == "unavailable", "her going", 20)
        later = await Chat("juliet", world.ours).connect()
        await later.saw(lambda p: p["status"] == "in Mantua", "where he still is", 20)
        await later.close()
        await romeo.close()

    asyncio.run(story())


def test_rooms_have_occupants_of_both(world):
    async def story():
        juliet, romeo = await world.meet()
        for owner, guest, service in [(juliet, romeo, world.ours), (romeo, juliet, world.theirs)]:
            room = slixmpp.JID(f"balcony-{owner.name}@conference.{service.domain}")
            await owner.join(room)
            form = await owner.plugin["xep_0045"].get_room_config(room)
            form["type"] = "submit"
            form["values"] = {**form["values"], "muc#roomconfig_persistentroom": True}
            await owner.plugin["xep_0045"].set_room_config(room, form)
            await guest.plugin["xep_0045"].join_muc_wait(room, guest.name, timeout=20)
            guest.send_message(room, f"{guest.name} is here", mtype="groupchat")
            await owner.got(said(f"{guest.name} is here"), "the guest", 20)
            owner.send_message(room, f"welcome, {guest.name}", mtype="groupchat")
            got = await guest.got(said(f"welcome, {guest.name}"), "the welcome", 20)
            assert got["from"] == f"{room}/{owner.name}"
            info = await guest.plugin["xep_0030"].get_info(room, timeout=20)
            assert "http://jabber.org/protocol/muc" in info["disco_info"]["features"]
            archive = guest.plugin["xep_0313"].retrieve(jid=room, iterator=True, rsm={"max": 10})
            bodies = []
            async for page in archive:
                bodies += [m["mam_result"]["forwarded"]["stanza"]["body"] for m in page["mam"]["results"]]
            assert f"{guest.name} is here" in bodies and f"welcome, {guest.name}" in bodies, bodies
            guest.plugin["xep_0045"].leave_muc(room, guest.name)
            await owner.saw(lambda p: p["from"] == f"{room}/{guest.name}" and p["type"] == "unavailable", "the end", 20)
        await juliet.close()
        await romeo.close()

    asyncio.run(story())


def test_cards_features_and_events_cross(world):
    async def story():
        juliet, romeo = await world.meet()
        juliet.send_presence_subscription("romeo@" + world.theirs.domain)
        await juliet.saw(lambda p: p["from"] == romeo.boundjid and p["type"] == "available", "romeo", 20)
        await romeo.saw(lambda p: p["from"] == juliet.boundjid and p["type"] == "available", "juliet", 20)
        card = await romeo.plugin["xep_0054"].get_vcard("juliet@" + OURS, timeout=20)
        assert "sip:juliet@" in str(card)
        info = await juliet.plugin["xep_0030"].get_info(world.theirs.domain, timeout=20)
        assert "http://jabber.org/protocol/disco#info" in info["disco_info"]["features"]
        info = await romeo.plugin["xep_0030"].get_info(OURS, timeout=20)
        assert "urn:xmpp:ping" in info["disco_info"]["features"]
        # XEP-0163: whoever wants to hear of tunes is told, whichever server he is at.
        for one, other in [(juliet, romeo), (romeo, juliet)]:
            tunes = asyncio.Queue()
            one.add_event_handler("user_tune_publish", tunes.put_nowait)
            one.plugin["xep_0163"].add_interest("http://jabber.org/protocol/tune")
            await one.plugin["xep_0115"].update_caps()
            # Whether the other server asks about the new capabilities before this or after, it tells the last tune.
            await other.plugin["xep_0118"].publish_tune(artist="Prokofiev", title=f"for {one.name}")
            while True:
                told = await asyncio.wait_for(tunes.get(), 20)
                if told["from"].bare == other.boundjid.bare:
                    break
            assert "Prokofiev" in str(told)
        await juliet.close()
        await romeo.close()

    asyncio.run(story())


@pytest.mark.parametrize("kind", [Prosody, Ejabberd], ids=lambda kind: kind.__name__.lower())
def test_what_cannot_be_delivered_comes_back_and_the_rest_follows(tmp_path, kind):
    world = World(tmp_path, kind, "certificate")
    world.ours.environment["CUSAX_XMPP__FEDERATION__TIMEOUT"] = "2s"
    world.ours.start()
    world.ours.add("juliet")
    try:

        async def before():
            juliet = await Chat("juliet", world.ours).connect()
            for domain, condition in [(world.theirs.domain, "remote-server-timeout"), ("verona.example", "remote-server-not-found")]:
                juliet.send_message(f"romeo@{domain}", "where art thou?", mtype="chat")
                refused = await juliet.got(lambda m: m["type"] == "error" and m["from"].domain == domain, "a refusal", 20)
                assert refused["error"]["condition"] == condition
            await juliet.close()

        asyncio.run(before())
        world.theirs.start()

        async def after():
            juliet, romeo = await world.meet()

            async def asks():
                # A domain that failed rests for some seconds.
                while not any(m["body"] == "now?" for m in romeo.messages):
                    juliet.send_message("romeo@" + world.theirs.domain, "now?", mtype="chat")
                    await asyncio.sleep(0.5)

            await asyncio.wait_for(asks(), 30)
            await juliet.close()
            await romeo.close()

        asyncio.run(after())
        wait_until(lambda: "xmpp_server_s2s_streams_out 1" in world.ours.metrics(), what="one stream")
    finally:
        world.theirs.stop() if world.theirs.process else None
        world.ours.stop()
        world.zone.close()


def fetch(url, ca, method="GET", body=None, headers=()):
    """What is at a URL whose name only the name server of the test knows."""
    at = urllib.parse.urlsplit(url)
    trust = ssl.create_default_context(cafile=str(ca))
    plain = socket.create_connection(("127.0.0.1", at.port), 10)
    connection = http.client.HTTPSConnection(at.hostname, at.port, context=trust, timeout=10)
    connection.sock = trust.wrap_socket(plain, server_hostname=at.hostname)
    connection.request(method, at.path + (f"?{at.query}" if at.query else ""), body, dict(headers))
    answer = connection.getresponse()
    return answer.status, answer.read()


UPLOAD = "{urn:xmpp:http:upload:0}"


async def ask_for_slot(client, name, size):
    asked = client.make_iq_get(ito=slixmpp.JID(f"upload.{OURS}"))
    words = {"filename": name, "size": str(size), "content-type": "image/png"}
    asked.append(ElementTree.Element(f"{UPLOAD}request", words))
    return await asked.send(timeout=20)


@pytest.mark.parametrize("kind", [Prosody, Ejabberd], ids=["prosody", "ejabberd"])
def test_a_file_is_read_in_the_other_domain(tmp_path, kind):
    world = World(tmp_path, kind, "certificate").start()
    picture = bytes(range(256)) * 300

    async def story():
        juliet, romeo = await world.meet()
        for one in (juliet, romeo):
            one.register_plugin("xep_0066")
        slot = (await ask_for_slot(juliet, "portrait.png", len(picture))).xml.find(f"{UPLOAD}slot")
        to, at = slot.find(f"{UPLOAD}put"), slot.find(f"{UPLOAD}get").get("url")
        kept = [(header.get("name"), header.text) for header in to.findall(f"{UPLOAD}header")]
        put = await asyncio.to_thread(fetch, to.get("url"), world.ours.ca, "PUT", picture, [("Content-Type", "image/png"), *kept])
        assert put[0] == 201, put
        message = juliet.make_message(romeo.boundjid.bare, at, mtype="chat")
        message["oob"]["url"] = at
        message.send()
        got = await romeo.got(lambda m: m["oob"]["url"], "the picture", 20)
        assert got["from"] == juliet.boundjid and got["body"] == got["oob"]["url"]
        assert await asyncio.to_thread(fetch, got["oob"]["url"], world.ours.ca) == (200, picture)
        await juliet.close()
        await romeo.close()

    try:
        asyncio.run(story())
    finally:
        world.stop()
