"""slixmpp against one account: login, roster, subscription, chat, offline messages, vCard, room information."""

import asyncio
import signal
from xml.etree import ElementTree

from chat import Chat
from conftest import DOMAIN, ROOMS


def test_login_by_starttls_and_direct_tls_and_not_with_a_wrong_password(service):
    service.add("alice")

    async def story():
        for direct in (False, True):
            alice = await Chat("alice", service, direct=direct).connect()
            assert alice.ready.is_set()
            await alice.close()
        for name in ("alice", "nobody"):
            stranger = await Chat(name, service, password="wrong").connect()
            assert stranger.refused.is_set() and not stranger.ready.is_set()
            stranger.abort()

    asyncio.run(story())


def test_subscription_presence_and_chat(service):
    service.add("alice", "bob")

    async def story():
        alice, bob = await Chat("alice", service).connect(), await Chat("bob", service).connect()
        alice.send_presence_subscription(pto=f"bob@{DOMAIN}")
        await alice.saw(lambda p: p["type"] == "available" and p["from"].bare == f"bob@{DOMAIN}", "bob's presence")
        alice.send_message(f"bob@{DOMAIN}", "hello")
        await bob.got(lambda m: m["body"] == "hello" and m["from"].bare == f"alice@{DOMAIN}", "hello")
        # What pushes said is what the server has: a version is no answer to read (RFC 6121 §2.6.3).
        await alice.get_roster()
        assert alice.client_roster[f"bob@{DOMAIN}"]["subscription"] in ("to", "both")
        await alice.close()
        await bob.close()

    asyncio.run(story())


def test_an_offline_message_survives_kill_9(service):
    service.add("alice", "bob")

    async def send():
        alice = await Chat("alice", service).connect()
        alice.send_message(f"bob@{DOMAIN}", "while you were away")
        await alice.plugin["xep_0199"].ping(DOMAIN)  # answered after the message was taken
        alice.abort()

    async def receive():
        bob = await Chat("bob", service).connect()
        message = await bob.got(lambda m: m["body"] == "while you were away", "the message")
        assert message["delay"]["stamp"], "with the time when it was sent"
        await bob.close()
        again = await Chat("bob", service).connect()
        await again.plugin["xep_0199"].ping(DOMAIN)
        assert not again.messages, "once"
        await again.close()

    asyncio.run(send())
    service.stop(signal.SIGKILL)
    service.start()
    asyncio.run(receive())


def test_the_vcard_has_the_tel_and_keeps_it(service):
    service.add("alice", "bob")

    async def story():
        bob = await Chat("bob", service).connect()
        card = await bob.plugin["xep_0054"].get_vcard(f"alice@{DOMAIN}")
        numbers = [one.text for one in card.xml.iter("{vcard-temp}NUMBER")]
        assert f"sip:alice@{DOMAIN}" in numbers and f"alice@{DOMAIN}" in numbers, ElementTree.tostring(card.xml)
        await bob.close()

    asyncio.run(story())


def test_a_room_names_its_call(service):
    service.add("alice", "bob")
    service.run("room", "add", f"lounge@{ROOMS}", "--name", "Lounge")

    async def story():
        alice, bob = await Chat("alice", service).connect(), await Chat("bob", service).connect()
        room = f"lounge@{ROOMS}"
        for one in (alice, bob):
            await one.join(room)
        info = await alice.plugin["xep_0030"].get_info(room)
        fields = {field.get("var"): field.findtext("{jabber:x:data}value") for field in info.xml.iter("{jabber:x:data}field")}
        assert fields["FORM_TYPE"] == "http://jabber.org/protocol/muc#roominfo"
        assert fields["audio-video-uri"] == f"sip:{room}"
        alice.send_message(room, "hello all", mtype="groupchat")
        await bob.got(lambda m: m["type"] == "groupchat" and m["body"] == "hello all", "hello all")
        await alice.close()
        await bob.close()

    asyncio.run(story())


def test_a_session_ends_when_its_account_is_disabled_beside_the_server(service):
    service.add("alice")

    async def story():
        alice = await Chat("alice", service).connect()
        await asyncio.to_thread(service.run, "user", "disable", f"alice@{DOMAIN}")
        await asyncio.wait_for(alice.ended.wait(), 10)
        alice.abort()
        again = await Chat("alice", service).connect()
        assert again.refused.is_set() and not again.ready.is_set()
        again.abort()

    asyncio.run(story())
