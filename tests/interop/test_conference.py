"""baresip, linphone and a browser in one conference, moderated from the chat room by slixmpp; a baresip that leaves a message."""

import asyncio
import ssl
import time
import urllib.request
import xml.etree.ElementTree as ET

from chat import Chat
from browser import Browser
from conftest import PASSWORD, ROOMS, wait_until
from phone import Linphone, Phone
from test_browser import script
from test_room_law import Leg

TONES = {"alice": 440, "bob": 660, "carol": 880}
LOUD, QUIET = 1500, 250


def levels(phone):
    return {name: phone.hears(hertz) for name, hertz in TONES.items()}


def test_each_hears_the_others_and_the_room_moderates_the_call(service):
    service.add("alice", "bob", "carol")
    service.run("room", "add", f"lounge@{ROOMS}", "--owner", "alice@localhost")
    room = f"lounge@{ROOMS}"
    phones = {
        name: Phone(service, name, transport, TONES[name], codecs, encryption)
        for name, transport, codecs, encryption in [
            ("alice", "udp", "pcmu", None),
            ("bob", "tls", "pcma", "srtp-mand"),
            ("carol", "tcp", "opus/48000/1", None),
        ]
    }
    started = []

    async def chat():
        moderator = await Chat("alice", service).connect()
        guests = [await Chat(name, service).connect() for name in ("bob", "carol")]
        for one in (moderator, *guests):
            await one.join(room)

        def quiet(phone, name):
            return phone.hears(TONES[name], 0.5) < QUIET

        await moderator.set_role(room, "bob", "visitor")
        await wait_async(lambda: quiet(phones["alice"], "bob") and quiet(phones["carol"], "bob"), "bob is muted")
        assert phones["alice"].hears(TONES["carol"]) > LOUD, "the others are still heard"
        await moderator.set_role(room, "bob", "participant")
        await wait_async(lambda: phones["alice"].hears(TONES["bob"], 0.5) > LOUD, "bob is heard again")
        await moderator.set_role(room, "carol", "none")
        await wait_async(lambda: "BYE sip:" in phones["carol"].says(), "carol's call ends")
        for one in (moderator, *guests):
            await one.close()

    try:
        for phone in phones.values():
            phone.start(f"/dial sip:{room}")
            started.append(phone)
        for phone in phones.values():
            phone.wait_for("Call established")
            assert ";isfocus" in phone.says()
        for name, phone in phones.items():
            others = [other for other in TONES if other != name]

            def is_as_it_should_be():
                heard = levels(phone)
                return all(heard[other] > LOUD for other in others) and heard[name] < QUIET

            # A second in which packets were late has something of every tone; an echo would be in each.
            wait_until(is_as_it_should_be, 15, f"{name} hears the others and not itself")
        assert "Set audio decoder: opus" in phones["carol"].says()
        assert phones["bob"].says().count("a=crypto:") >= 2, "in the offer and in the answer"
        asyncio.run(chat())
    finally:
        for phone in started:
            phone.stop()


def test_five_legs_of_four_kinds_hear_one_another_and_not_themselves(service):
    tones = {"alice": 440, "bob": 660, "carol": 880, "dave": 1150, "eve": 1500}
    service.add(*tones)
    service.run("room", "add", f"lounge@{ROOMS}", "--owner", "alice@localhost")
    uri = f"sip:lounge@{ROOMS}"
    phones = {
        "alice": Phone(service, "alice", "udp", tones["alice"], "pcmu"),
        "bob": Phone(service, "bob", "tls", tones["bob"], "pcma", "srtp-mand"),
        "carol": Phone(service, "carol", "tcp", tones["carol"], "opus/48000/1"),
        "dave": Linphone(service, "dave", tones["dave"]),
    }
    started = []
    try:
        with Browser() as browser:
            for phone in phones.values():
                phone.start(f"/dial {uri}")
                started.append(phone)
            page = browser.open("phone.html")
            wss = f"wss://localhost:{service.ports['http.https']}/sip"
            assert page.value(script("register", wss, f"sip:eve@{service.domain}", PASSWORD)) == "registered"
            assert page.value(script("dialTone", uri, tones["eve"])) == "confirmed"

            def by_browser():
                return dict(zip(tones, page.value(script("tones", list(tones.values()))), strict=True))

            def by(phone):
                return lambda: {name: phone.hears(hertz) for name, hertz in tones.items()}

            ears = {**{name: by(phone) for name, phone in phones.items()}, "eve": by_browser}
            for name, ear in ears.items():

                def is_right(ear=ear, name=name):
                    said = ear()
                    others = [said[other] for other in tones if other != name]
                    return min(others) > 1000 and said[name] < QUIET

                wait_until(is_right, 30, f"{name} hears the four others and not itself: {ear()}")
    finally:
        for phone in started:
            phone.stop()


def test_phones_that_shake_hands_and_one_with_g722_hear_one_another(service):
    """RFC 5763 without ICE and without rtcp-mux, from an address that is not the one it says; bob calls, carol is called."""
    tones = {"alice": 440, "bob": 660, "carol": 880}
    service.add(*tones, "dave")
    service.run("room", "add", f"lounge@{ROOMS}", "--owner", "alice@localhost")
    phones = {
        "alice": Phone(service, "alice", "udp", tones["alice"], "g722/16000/1"),
        "bob": Phone(service, "bob", "tls", tones["bob"], "pcma", "dtls_srtp"),
        "carol": Phone(service, "carol", "tcp", tones["carol"], "opus/48000/1", "dtls_srtp"),
    }
    started, asks = [], None
    try:
        for name, phone in phones.items():
            phone.start(*([] if name == "carol" else [f"/dial sip:lounge@{ROOMS}"]))
            started.append(phone)
        phones["carol"].wait_for("200 OK")
        asks = Leg(service, "dave")
        assert asks.refer(f"sip:carol@{service.domain}", "") == "202"
        for name, phone in phones.items():
            others = [other for other in tones if other != name]

            def is_as_it_should_be(phone=phone, name=name, others=others):
                return min(phone.hears(tones[other]) for other in others) > LOUD and phone.hears(tones[name]) < QUIET

            wait_until(is_as_it_should_be, 20, f"{name} hears the others and not itself")
        assert "Set audio decoder: G722" in phones["alice"].says()
        for name in ("bob", "carol"):
            said = phones[name].says()
            assert "UDP/TLS/RTP/SAVP" in said
            assert "DTLS-SRTP complete (audio/RTP)" in said, said
        assert "DTLS-SRTP complete (audio/RTCP)" in phones["bob"].says(), "a port of its own, where it calls"
    finally:
        for phone in started:
            phone.stop()
        if asks:
            asks.agent.close()


async def wait_async(holds, what, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{what}: not in {seconds} s")


async def wants_messages(chat, service):
    """Callers may leave messages from now on."""
    command = "<command xmlns='http://jabber.org/protocol/commands' node='urn:cusax:voicemail:0'"
    form = "<x xmlns='jabber:x:data' type='submit'><field var='wanted'><value>1</value></field></x>"

    async def ask(payload):
        wish = chat.make_iq_set(ito=service.domain)
        wish.append(ET.fromstring(payload))
        return (await wish.send(timeout=10)).xml[0]

    session = (await ask(f"{command}/>")).get("sessionid")
    assert (await ask(f"{command} sessionid='{session}'>{form}</command>")).get("status") == "completed"


def test_who_is_away_finds_what_a_caller_said_in_the_conversation(service):
    service.add("alice", "bob")
    alice = Phone(service, "alice", "udp", TONES["alice"], "pcmu", None)

    async def story():
        bob = await Chat("bob", service).connect()
        await wants_messages(bob, service)
        alice.start(f"/dial sip:bob@{service.domain}")
        try:
            await asyncio.to_thread(alice.wait_for, "Call established")
            # The prompt takes four seconds, and the tone of the caller is the message.
            await asyncio.sleep(8)
        finally:
            await asyncio.to_thread(alice.stop)
        said = await bob.got(lambda message: "urn:xmpp:sfs:0" in str(message), "a voice message")
        missed = await bob.got(lambda message: message["body"] == "Missed call", "that a call was missed")
        assert str(said["from"]) == str(missed["from"]) == f"alice@{service.domain}"
        length = said.xml.find(".//{urn:xmpp:file:metadata:0}length").text
        assert 1_000 < int(length) < 10_000, length
        context = ssl.create_default_context(cafile=str(service.ca))
        sound = await asyncio.to_thread(lambda: urllib.request.urlopen(said["body"], context=context, timeout=10).read())
        assert sound.startswith(b"OggS") and b"OpusHead" in sound[:100]
        await bob.close()

    asyncio.run(story())


def test_an_owner_hears_their_mailbox_by_its_number_and_the_lamp_goes_out(service):
    service.add("alice", "bob")
    alice = Phone(service, "alice", "udp", TONES["alice"], "pcmu", None)
    bob = Phone(service, "bob", "tcp", TONES["bob"], "pcma", None)
    bob.add_modules("mwi")

    async def story():
        chat = await Chat("bob", service).connect()
        await wants_messages(chat, service)
        alice.start(f"/dial sip:bob@{service.domain}")
        try:
            await asyncio.to_thread(alice.wait_for, "Call established")
            await asyncio.sleep(8)
        finally:
            await asyncio.to_thread(alice.stop)
        said = await chat.got(lambda message: "urn:xmpp:sfs:0" in str(message), "a voice message")
        bob.start()
        try:
            await asyncio.to_thread(bob.wait_for, "Voice-Message: 1/0")
            bob.tell("/dial *97\n")
            await asyncio.to_thread(bob.wait_for, "Call established")
            # «You have 1 new message. Message 1, just now», and the tone of who called.
            await wait_async(lambda: bob.hears(TONES["alice"]) > LOUD, "the message is heard")
            await asyncio.to_thread(bob.wait_for, "Voice-Message: 0/1")
            bob.tell("7")
            await asyncio.to_thread(bob.wait_for, "Voice-Message: 0/0")
            bob.tell("#")
            await asyncio.to_thread(bob.wait_for, "session closed")
        finally:
            await asyncio.to_thread(bob.stop)
        chat.register_plugin("xep_0313")
        archived = (await chat.plugin["xep_0313"].retrieve())["mam"]["results"]
        assert any(said["body"] in str(message) for message in archived), "the message of the chat stays"
        await chat.close()

    asyncio.run(story())
