"""A room's law in its call, with both halves real: slixmpp in the chat, user agents in the call (RFC 7081 §4)."""

import asyncio
import json
import ssl
import threading
import urllib.error
import urllib.request
import uuid
from urllib.parse import quote

import pytest
from chat import Chat
from conftest import ROOMS, Service
from sip import SDP, Agent, Udp, contact, routes

ROOM = f"lounge@{ROOMS}"
URI = f"sip:{ROOM}"


class Leg:
    """A call to the room, without sound."""

    def __init__(self, service, name, agent=Agent, sdp=SDP):
        self.service, self.agent = service, agent(name, Udp(service))
        self.headers = [f"From: <{self.agent.aor}>;tag=x", f"To: <{URI}>", f"Call-ID: {uuid.uuid4()}"]
        self.answer = self.agent.ask("INVITE", URI, self.headers, sdp)
        if self.answer.word == "200":
            self.target, self.routes = contact(self.answer), routes(self.answer, True)
            self.send("ACK", self.agent.cseq)

    def inside(self):
        return [self.headers[0], f"To: {self.answer['To']}", self.headers[2], *self.routes]

    def send(self, method, cseq=None, *more):
        self.agent.send(method, self.target, [*self.inside(), *more], cseq=cseq)

    def refer(self, whom, method=";method=BYE"):
        """What the focus says to a wish to remove somebody (RFC 4579 §5.11), or to another."""
        headers = [*self.inside(), f"Refer-To: <{whom}{method}>", "Refer-Sub: false"]
        return self.agent.ask("REFER", self.target, headers).word

    def is_hung_up(self):
        bye = self.agent.receive("BYE")
        self.agent.respond(bye, "200 OK")
        return bye.all("Reason")


@pytest.fixture
def legs(service):
    made = []

    def call(name):
        made.append(Leg(service, name))
        return made[-1]

    service.add("alice", "bob", "carol")
    service.run("room", "add", ROOM, "--owner", "alice@localhost")
    yield call
    for leg in made:
        leg.agent.close()


def is_gone(nick, code):
    return lambda p: p["type"] == "unavailable" and p["from"] == f"{ROOM}/{nick}" and f'code="{code}"' in str(p)


def test_what_the_chat_decides_holds_in_the_call(service, legs):
    async def story():
        alice, bob = [await Chat(name, service).connect() for name in ("alice", "bob")]
        alice.add_event_handler(f"muc::{ROOM}::got_offline", alice.presences.append)
        for one in (alice, bob):
            await one.join(ROOM)
        alices, bobs, carols = [await asyncio.to_thread(legs, name) for name in ("alice", "bob", "carol")]
        assert [leg.answer.word for leg in (alices, bobs, carols)] == ["200"] * 3
        # Carol is in the call alone, and the chat says so.
        await alice.got(lambda m: "carol" in m["body"] and m["body"].endswith("is in the call."), "that carol called")
        await alice.plugin["xep_0045"].set_affiliation(ROOM, "outcast", jid=f"bob@{service.domain}")
        assert await asyncio.to_thread(bobs.is_hung_up)
        await alice.saw(is_gone("bob", 301), "that bob is banned")
        assert (await asyncio.to_thread(legs, "bob")).answer.word == "403"
        form = await alice.plugin["xep_0045"].get_room_config(ROOM)
        form["type"] = "submit"
        form.set_values({"muc#roomconfig_membersonly": True})
        await alice.plugin["xep_0045"].set_room_config(ROOM, form)
        assert await asyncio.to_thread(carols.is_hung_up)
        assert (await asyncio.to_thread(legs, "carol")).answer.word == "403"
        await alice.plugin["xep_0045"].destroy(ROOM)
        assert await asyncio.to_thread(alices.is_hung_up)
        assert (await asyncio.to_thread(legs, "alice")).answer.word == "404"
        for one in (alice, bob):
            await one.close()

    asyncio.run(story())


def test_whom_a_moderator_removes_from_the_call_leaves_the_chat(service, legs):
    async def story():
        alice, bob = [await Chat(name, service).connect() for name in ("alice", "bob")]
        alice.add_event_handler(f"muc::{ROOM}::got_offline", alice.presences.append)
        for one in (alice, bob):
            await one.join(ROOM)
        alices, bobs = [await asyncio.to_thread(legs, name) for name in ("alice", "bob")]
        assert await asyncio.to_thread(bobs.refer, alices.agent.aor) == "403", "an owner is more than he is"
        assert await asyncio.to_thread(alices.refer, bobs.agent.aor) == "202"
        assert await asyncio.to_thread(bobs.is_hung_up)
        await alice.saw(is_gone("bob", 307), "that bob was kicked")
        again = await asyncio.to_thread(legs, "bob")
        assert again.answer.word == "200", "a kick is no ban"
        for one in (alice, bob):
            await one.close()

    asyncio.run(story())


def press(leg, keys):
    for key in keys:
        body = f"Signal={key}\r\nDuration=160\r\n"
        answer = leg.agent.ask("INFO", leg.target, [*leg.inside(), "Content-Type: application/dtmf-relay"], body)
        assert answer.word == "200", answer.start


def test_keys_of_a_phone_hold_in_the_chat_and_a_password_of_the_chat_at_the_phone(service, legs):
    def does(what):
        return lambda p: p["from"] == f"{ROOM}/bob" and f"urn:cusax:call:0#{what}" in str(p)

    async def story():
        alice, bob = [await Chat(name, service).connect() for name in ("alice", "bob")]
        alice.add_event_handler(f"muc::{ROOM}::presence", alice.presences.append)
        for one in (alice, bob):
            await one.join(ROOM)
        alices, _ = [await asyncio.to_thread(legs, name) for name in ("alice", "bob")]
        await alice.saw(does("audio"), "that bob is in the call")
        await asyncio.to_thread(press, alices, "*5")
        await alice.saw(does("muted"), "that bob is muted")
        # He has a voice in the chat all the while: giving it lifts what muted him in the call.
        alice.presences.clear()
        await alice.set_role(ROOM, "bob", "participant")
        await alice.saw(lambda p: does("audio")(p) and not does("muted")(p), "that bob is heard again")

        form = await alice.plugin["xep_0045"].get_room_config(ROOM)
        form["type"] = "submit"
        form.set_values({"muc#roomconfig_passwordprotectedroom": True, "muc#roomconfig_roomsecret": "1234"})
        await alice.plugin["xep_0045"].set_room_config(ROOM, form)
        carols, again = [await asyncio.to_thread(legs, "carol") for _ in range(2)]
        assert (carols.answer.word, again.answer.word) == ("200", "200")
        await asyncio.to_thread(press, carols, "1234")
        await alice.got(lambda m: "carol" in m["body"] and m["body"].endswith("is in the call."), "that carol is in")
        await asyncio.to_thread(press, again, "0000#" * 3)
        assert "Wrong PIN" in str(await asyncio.to_thread(again.is_hung_up))
        for one in (alice, bob):
            await one.close()

    asyncio.run(story())


def test_a_call_between_two_moves_into_the_room(service, legs):
    """RFC 4579 §5.10: whoever is in a call and comes to the room has the focus call the other in its place."""
    alice, bob = (Agent(name, Udp(service)) for name in ("alice", "bob"))
    try:
        assert bob.register().word == "200"
        own = [f"From: <{alice.aor}>;tag=two", f"To: <{bob.aor}>", f"Call-ID: {uuid.uuid4()}"]
        answers = []

        def call():
            answers.append(alice.ask("INVITE", bob.aor, own, SDP))

        calling = threading.Thread(target=call)
        calling.start()
        invite = bob.receive("INVITE")
        bob.respond(invite, "200 OK", SDP)
        calling.join()
        (answer,) = answers
        assert answer.word == "200"
        alice.send("ACK", contact(answer), [own[0], f"To: {answer['To']}", own[2], *routes(answer, True)], cseq=alice.cseq)
        bob.receive("ACK")
        there = legs("alice")
        names = f"{own[2].split()[1]};to-tag=bob;from-tag=two"
        referred = there.refer(f"{bob.aor}?Replaces={quote(names, safe='')}", "")
        assert referred == "202"
        taking = bob.receive("INVITE")
        assert taking["Replaces"] == names and f"sip:{ROOM}" in taking["From"] and "isfocus" in taking["Contact"]
        bob.respond(taking, "200 OK", SDP)
        bob.receive("ACK")
        target = contact(invite)
        sides = [f"From: {invite['To']};tag=bob", f"To: {invite['From']}", f"Call-ID: {invite['Call-ID']}"]
        bob.send("BYE", target, [*sides, *routes(invite, False)])
        alice.respond(alice.receive("BYE"), "200 OK")
    finally:
        alice.close()
        bob.close()


class Api:
    """What the API says of the room to each who has a token of these scopes."""

    def __init__(self, service, scopes, *names):
        self.url = f"https://localhost:{service.ports['http.https']}/api/v1/rooms/{ROOM}"
        self.trust = ssl.create_default_context(cafile=str(service.ca))
        self.tokens = {name: service.run("api-token", f"{name}@localhost", "--scopes", scopes).strip() for name in names}

    def __call__(self, name, method, path, **body):
        headers = {"Authorization": f"Bearer {self.tokens[name]}", "Content-Type": "application/json"}
        content = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self.url + path, content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20, context=self.trust) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as problem:
            return problem.code, json.load(problem)["detail"]


def test_an_administrator_mutes_and_removes_by_the_api(service, legs):
    service.add("root", options=("--admin",))
    api = Api(service, "admin:read,admin:write", "root")

    async def ask(method, path, **body):
        return await asyncio.to_thread(api, "root", method, path, **body)

    async def heard():
        return {one["uri"].removeprefix("sip:").split("@")[0]: one for one in (await ask("GET", ""))[1]["participants"]}

    async def story():
        alice, bob = [await Chat(name, service).connect() for name in ("alice", "bob")]
        alice.add_event_handler(f"muc::{ROOM}::got_offline", alice.presences.append)
        for one in (alice, bob):
            await one.join(ROOM)
        bobs, carols = [await asyncio.to_thread(legs, name) for name in ("bob", "carol")]
        assert (bobs.answer.word, carols.answer.word) == ("200", "200")
        there = await heard()
        assert there.keys() == {"bob", "carol"} and there["bob"]["audio"] == there["carol"]["audio"]
        # In the call alone: who is in the chat as well keeps the voice there, unless the operator wants it gone (`conference.mute_in_chat`).
        before = there["bob"]["audio"]
        for name in ("bob", "carol"):
            assert (await ask("POST", "/moderation", deed="mute", call=there[name]["call"]))[0] == 204
        for _ in range(100):
            muted = await heard()
            if muted["bob"]["audio"] != before and muted["carol"]["audio"] != before:
                break
            await asyncio.sleep(0.05)
        assert muted["bob"]["audio"] == muted["carol"]["audio"] != before, muted
        roles = {one["nick"]: one["role"] for one in (await ask("GET", ""))[1]["occupants"]}
        assert roles == {"alice": "moderator", "bob": "participant"}, roles
        for name in ("bob", "carol"):
            assert (await ask("POST", "/moderation", deed="unmute", call=there[name]["call"]))[0] == 204
        for _ in range(100):
            again = await heard()
            if again["bob"]["audio"] == again["carol"]["audio"] == before:
                break
            await asyncio.sleep(0.05)
        assert again["bob"]["audio"] == again["carol"]["audio"] == before, again
        for name in ("bob", "carol"):
            assert (await ask("POST", "/moderation", deed="kick", call=there[name]["call"]))[0] == 204
        assert await asyncio.to_thread(bobs.is_hung_up) and await asyncio.to_thread(carols.is_hung_up)
        await alice.saw(is_gone("bob", 307), "that bob is removed from the chat")
        assert await heard() == {}
        for one in (alice, bob):
            await one.close()

    asyncio.run(story())


def test_a_program_calls_somebody_into_the_room_and_has_it_recorded(tmp_path):
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    service = Service(tmp_path, CUSAX_CONFERENCE__RECORDINGS=str(recordings)).start()
    service.add("alice", "bob", "carol")
    service.run("room", "add", ROOM, "--owner", "alice@localhost")
    api = Api(service, "account:write", "alice", "bob")

    def ask(name, method, path, **body):
        return api(name, method, f"/conference{path}", **body)

    async def story():
        alice = await Chat("alice", service).connect()
        await alice.join(ROOM)
        assert (await asyncio.to_thread(ask, "alice", "PUT", "/recording", on=True))[0] == 404, "nobody is in the call"
        calling = asyncio.create_task(asyncio.to_thread(ask, "alice", "POST", "", callee=f"bob@{service.domain}"))
        invite = await asyncio.to_thread(bob.receive, "INVITE")
        assert f"sip:{ROOM}" in invite["From"] and "isfocus" in invite["Contact"]
        bob.respond(invite, "200 OK", SDP)
        await asyncio.to_thread(bob.receive, "ACK")
        assert await calling == (200, {"state": "in"})
        await alice.got(lambda m: "bob" in m["body"] and m["body"].endswith("is in the call."), "that bob was called")
        # By the rights of who asks: she has none for numbers, and only who moderates has the call recorded.
        status, why = await asyncio.to_thread(ask, "alice", "POST", "", callee="+15550100")
        assert status == 409 and why.split()[0].isdigit(), why
        assert (await asyncio.to_thread(ask, "bob", "PUT", "/recording", on=True))[0] == 409
        assert await asyncio.to_thread(ask, "alice", "PUT", "/recording", on=True) == (204, None)
        await alice.got(lambda m: m["body"] == "The call is being recorded.", "that the call is recorded")
        assert [one.suffix for one in recordings.iterdir()] == [".part"]
        await asyncio.to_thread(ask, "alice", "PUT", "/recording", on=False)
        await alice.got(lambda m: m["body"] == "The call is not recorded any more.", "that the recording is over")
        for _ in range(100):
            if [one.suffix for one in recordings.iterdir()] == [".ogg"]:
                break
            await asyncio.sleep(0.05)
        assert [one.suffix for one in recordings.iterdir()] == [".ogg"]
        # The same from the chat, of somebody who is not in it.
        alice.send_message(mto=ROOM, mbody="/call carol", mtype="groupchat")
        invite = await asyncio.to_thread(carol.receive, "INVITE")
        carol.respond(invite, "200 OK", SDP)
        await asyncio.to_thread(carol.receive, "ACK")
        await alice.got(lambda m: "carol" in m["body"] and m["body"].endswith("is in the call."), "that carol was called")
        await alice.close()

    bob, carol = Agent("bob", Udp(service)), Agent("carol", Udp(service))
    try:
        assert bob.register().word == "200" and carol.register().word == "200"
        asyncio.run(story())
    finally:
        bob.close()
        carol.close()
        service.stop()
