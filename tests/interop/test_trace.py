"""`cusax trace`: what two foreign clients did, over SIP and XMPP, under one correlation, with the server and without it."""

import asyncio
import json
import signal
import ssl
import time
import urllib.request

import pytest
from chat import Chat
from conftest import DOMAIN, ROOMS, Service, wait_until
from phone import Phone, ring
from test_room_law import Leg


def trace(service, account, *words):
    return [json.loads(line) for line in service.run("trace", account, "--json", *words).splitlines()]


def events(lines):
    return [line["event"] for line in lines]


def until(service, account, event, seconds=10):
    wait_until(lambda: event in events(trace(service, account)), seconds, f"{event} of {account}")


def test_one_trace_has_all_that_two_clients_did_and_outlives_the_server(service):
    service.add("alice", "bob", options=())
    service.run("user", "add", f"carol@{DOMAIN}", "--password-stdin", "--number", "+15550123", given="correct-horse-battery\n")

    async def chats():
        bob = await Chat("bob", service).connect()
        wrong = await Chat("alice", service, password="not-the-password").connect()
        assert wrong.refused.is_set()
        bob.disconnect()
        await asyncio.wait_for(bob.ended.wait(), 10)

    asyncio.run(chats())
    bob = Phone(service, "bob", "tls", 660).start()
    alice = None
    try:
        bob.wait_for("SIP/2.0 200 OK")
        alice = Phone(service, "alice", "udp", 440).start(f"/dial sip:bob@{DOMAIN}")
        alice.wait_for("Call established")
    finally:
        if alice:
            alice.stop()
        bob.stop()
    until(service, f"alice@{DOMAIN}", "call_told")
    until(service, f"bob@{DOMAIN}", "registration_ended")

    of_alice, of_bob = trace(service, f"alice@{DOMAIN}"), trace(service, f"bob@{DOMAIN}")
    for line in of_alice + of_bob:
        assert {"time", "account", "correlation", "protocol", "event", "text"} <= line.keys(), line
        assert "not-the-password" not in json.dumps(line)
    failed = [line for line in of_alice if line["event"] == "login_failed"]
    assert failed and failed[0]["protocol"] == "auth" and "wrong password" in failed[0]["text"]
    assert all(line["account"] == f"alice@{DOMAIN}" for line in of_alice)

    (begun,) = [line for line in of_alice if line["event"] == "call_begun"]
    chain = [line for line in of_alice if line["correlation"] == begun["correlation"]]
    assert events(chain)[0] == "call_begun" and events(chain)[-1] == "call_told", events(chain)
    assert {"call_answered", "call_ended"} <= set(events(chain))
    assert {line["protocol"] for line in chain} == {"sip", "xmpp"} and all(line["call_id"] == begun["call_id"] for line in chain)
    other = [line for line in of_bob if line["correlation"] == begun["correlation"]]
    assert {"call_begun", "call_answered", "call_ended", "call_told"} <= set(events(other))

    assert {"session_opened", "session_ended", "login_accepted", "registration_made"} <= set(events(of_bob))
    session = next(line for line in of_bob if line["event"] == "session_opened")
    assert session["protocol"] == "xmpp" and session["stream"]
    times = [line["time"] for line in of_bob]
    assert times == sorted(times)

    service.stop(signal.SIGKILL)
    assert trace(service, f"alice@{DOMAIN}") == of_alice, "the same without the server"
    time.sleep(1.1)
    assert trace(service, f"alice@{DOMAIN}", "--since", "1s") == [], "nothing within the last second"
    assert trace(service, "+1 555 0123") == [] or events(trace(service, "+1 555 0123")) == ["account_created"]
    shown = service.run("trace", f"alice@{DOMAIN}")
    assert begun["correlation"][:8] in shown and "calls sip:bob@" in shown


def test_a_call_of_a_room_tells_how_its_sound_went_and_who_was_silent(service):
    service.add("alice", "bob")
    room = f"dev@conference.{DOMAIN}"
    service.run("room", "add", room, "--owner", f"bob@{DOMAIN}")
    alice = Phone(service, "alice", "udp", 440).start(f"/dial sip:{room}")
    try:
        alice.wait_for("Call established")
        wait_until(lambda: len(alice.heard()) >= 2 * 8000, 15, "alice hears two seconds")

        async def kick():
            bob = await Chat("bob", service).connect()
            await bob.join(room)
            bob.plugin["xep_0045"].leave_muc(room, "bob")
            bob.disconnect()
            await asyncio.wait_for(bob.ended.wait(), 10)

        asyncio.run(kick())
    finally:
        alice.stop()
    until(service, f"alice@{DOMAIN}", "leg_sound")
    lines = trace(service, f"alice@{DOMAIN}")
    (begun,) = [line for line in lines if line["event"] == "call_begun"]
    chain = [line for line in lines if line["correlation"] == begun["correlation"]]
    assert {"sip", "conference", "media"} <= {line["protocol"] for line in chain}, chain
    assert {"call_begun", "leg_joined", "leg_left", "leg_sound"} <= set(events(chain))
    (sound,) = [line for line in chain if line["event"] == "leg_sound"]
    assert sound["room"] == room and "PCMU" in sound["text"] and "MOS 4" in sound["text"], sound
    assert "It was silent" not in sound["text"]
    assert {"room_joined", "room_left"} <= set(events(trace(service, f"bob@{DOMAIN}")))


def test_what_happened_is_found_by_call_room_address_and_stranger(service):
    """One calls who is of another service, and another is refused at the door: both are found by what an operator has in the hand."""
    service.add("bob")
    service.run("room", "add", f"dev@{ROOMS}", "--owner", f"bob@{DOMAIN}")
    ring(service, "bob")

    async def chats():
        bob = await Chat("bob", service).connect()
        await bob.join(f"dev@{ROOMS}")
        await bob.close()
        stranger = await Chat("nobody", service).connect()
        assert stranger.refused.is_set()

    asyncio.run(chats())
    until(service, f"bob@{DOMAIN}", "room_left")
    of_call = ["call_begun", "call_ringing", "call_cancelled"]
    correlation = trace(service, "eve@elsewhere")[0]["correlation"]
    for sought in ("eve@elsewhere", correlation, "sip:eve@elsewhere.example", "eve@elsewhere.example"):
        assert events(trace(service, sought)) == of_call, sought
    assert {"room_joined", "room_left"} <= set(events(trace(service, f"dev@{ROOMS}")))
    wait_until(lambda: None in [line["account"] for line in trace(service, "127.0.0.1")], what="the stranger's login")
    by_address = trace(service, "127.0.0.1")
    assert {"login_accepted", "login_failed"} <= set(events(by_address))
    (failed,) = [line for line in by_address if line["account"] is None]
    assert failed["text"] == "xmpp login from 127.0.0.1 failed: nobody has that name"
    with pytest.raises(AssertionError, match="nothing is known of `192.0.2.9`"):
        service.run("trace", "192.0.2.9")

    token = service.run("user", "add", f"root@{DOMAIN}", "--admin") and service.run("api-token", f"root@{DOMAIN}", "--scopes", "admin:read").strip()
    url = f"https://localhost:{service.ports['http.https']}/api/v1/timeline?about=sip%3Aeve%40elsewhere.example"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    told = json.load(urllib.request.urlopen(request, timeout=5, context=ssl.create_default_context(cafile=str(service.ca))))
    assert [entry["event"] for entry in told["entries"]] == of_call[::-1] and told["account"] is None
    assert {entry["account"] for entry in told["entries"]} == {f"bob@{DOMAIN}"}


def test_who_sends_nothing_is_hung_up_on_and_their_timeline_says_why(tmp_path):
    service = Service(tmp_path, CUSAX_CONFERENCE__SILENCE_TIMEOUT="2s").start()
    try:
        service.add("alice")
        service.run("room", "add", f"lounge@conference.{DOMAIN}", "--owner", f"alice@{DOMAIN}")
        leg = Leg(service, "alice")
        assert leg.answer.word == "200" and leg.is_hung_up()
        leg.agent.close()
        until(service, f"alice@{DOMAIN}", "leg_sound")
        (sound,) = [line for line in trace(service, f"alice@{DOMAIN}") if line["event"] == "leg_sound"]
        assert "It was silent: not one packet" in sound["text"], sound
    finally:
        service.stop()
