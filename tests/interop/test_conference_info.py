"""The two documents of a room, its information in the chat (XEP-0045) and its conference document (RFC 4575): both as a running
service gives them, by the schema of RFC 4575 section 6, and as Jitsi reads them."""

import asyncio
import uuid

import pytest
from chat import Chat
from conftest import ROOMS, wait_until
from lxml import etree
from pathlib import Path
from sip import SDP, Agent, Udp
from test_room_law import Leg

ROOM = f"lounge@{ROOMS}"
URI = f"sip:{ROOM}"
KIND = "application/conference-info+xml"
SCHEMA = etree.XMLSchema(etree.parse(str(Path(__file__).parent / "schemas/conference-info.xsd")))
INFO = "{urn:ietf:params:xml:ns:conference-info}"
OURS = "{urn:cusax:call:0}"
VIDEO = SDP + "m=video 9 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"


class Listening(Agent):
    """Takes every NOTIFY that comes between answers."""

    def __init__(self, *given):
        super().__init__(*given)
        self.told = []

    def receive(self, *words):
        while True:
            message = super().receive()
            if message.word == "NOTIFY":
                self.respond(message, "200 OK")
                self.told.append(message)
                if "NOTIFY" not in words:
                    continue
            assert not words or message.word in words, f"{self.name}: {message.start}"
            return message

    def documents(self, holds, what):
        """What the documents so far say; waits for more until it `holds` of one."""
        while not any(holds(one.body) for one in self.told):
            try:
                self.receive("NOTIFY")
            except TimeoutError as error:
                raise AssertionError(f"no document says {what}: {[one.body for one in self.told]}") from error
        return [one.body for one in self.told if one.body]


class Member:
    """What Jitsi shows of somebody: a name, whether they are connected, and what each medium does."""

    def __init__(self, user):
        self.name = user.findtext(f"{INFO}display-text") or user.get("entity")
        ends = user.findall(f"{INFO}endpoint")
        self.status = [end.findtext(f"{INFO}status") for end in ends]
        media = [medium for end in ends for medium in end.findall(f"{INFO}media")]
        self.media = {(medium.findtext(f"{INFO}type"), medium.findtext(f"{INFO}status")) for medium in media}


class Jitsi(Leg):
    """A model of Jitsi's reader: `isfocus` in the Contact, then the subscription in the dialog of the call, then users, their endpoints
    and media by the rules of RFC 4575 section 4.6. It has no reader for service-uris, and none for the room's information."""

    def __init__(self, service, name):
        super().__init__(service, name, Listening)
        assert self.answer.word == "200"
        _, _, params = self.answer["Contact"].partition(">")
        assert "isfocus" in params.split(";"), "else it would not ask for the conference"
        answer = self.ask("SUBSCRIBE", "Event: conference", f"Accept: {KIND}", "Expires: 3600")
        assert answer.word == "200", answer.start
        self.version, self.members, self.read = None, {}, 0

    def ask(self, method, *more, body=""):
        return self.agent.ask(method, self.target, [*self.inside(), *more], body)

    def shows(self):
        """Who is in the conference, as far as it was told."""
        for notify in self.agent.told[self.read :]:
            assert notify["Content-Type"] == KIND
            self.take(etree.fromstring(notify.body.encode()))
        self.read = len(self.agent.told)
        return self.members

    def take(self, document):
        version, state = int(document.get("version")), document.get("state", "full")
        if self.version is not None and version <= self.version:
            return
        assert state == "full" or version == self.version + 1, "it would have to subscribe anew"
        self.version = version
        users = document.find(f"{INFO}users")
        if users is None:
            return
        if users.get("state", "full") == "full":
            self.members = {}
        for user in users.findall(f"{INFO}user"):
            if user.get("state") == "deleted":
                self.members.pop(user.get("entity"), None)
            else:
                self.members[user.get("entity")] = Member(user)

    def sees(self, entity, medium, what):
        """Waits until somebody's medium does this."""
        while medium not in getattr(self.shows().get(entity), "media", ()):
            try:
                self.agent.receive("NOTIFY")
            except TimeoutError as error:
                shown = {entity: (member.name, member.status, member.media) for entity, member in self.members.items()}
                raise AssertionError(f"it does not show {what}: {shown}") from error


def valid(text):
    document = etree.fromstring(text.encode())
    SCHEMA.assertValid(document)
    # What is ours stands where the schema lets others in, at the end of a user, and is told by its namespace.
    for user in document.iter(f"{INFO}user"):
        namespaces = [etree.QName(part).namespace for part in user]
        ours = [namespace for namespace in namespaces if f"{{{namespace}}}" != INFO]
        assert {f"{{{namespace}}}" for namespace in ours} <= {OURS} and namespaces[len(namespaces) - len(ours) :] == ours
    return document


@pytest.fixture
def legs(service):
    made = []

    def call(kind, name, *given):
        made.append(kind(service, name, *given))
        return made[-1]

    service.add("alice", "bob")
    service.add("carol", options=("--name", "Carol"))
    service.run("room", "add", ROOM, "--owner", "alice@localhost")
    yield call
    for leg in made:
        leg.agent.close()


def press(leg, key):
    return leg.agent.ask("INFO", leg.target, [*leg.inside(), "Content-Type: application/dtmf-relay"], f"Signal={key}\r\nDuration=160\r\n")


def change(leg, direction):
    body = SDP.replace("o=- 1 1", f"o=- 1 {leg.agent.cseq + 2}") + f"a={direction}\r\n"
    answer = leg.agent.ask("INVITE", leg.target, leg.inside(), body)
    assert answer.word == "200", answer.start
    leg.send("ACK", leg.agent.cseq)


def test_documents_hold_to_the_schema_and_jitsi_shows_what_they_say(legs):
    jitsi = legs(Jitsi, "alice")
    bob, device, carol = legs(Leg, "bob"), legs(Leg, "bob"), legs(Leg, "carol", Agent, VIDEO)
    assert [leg.answer.word for leg in (bob, device, carol)] == ["200"] * 3
    bobs, carols = (f"sip:{name}@localhost" for name in ("bob", "carol"))
    jitsi.sees(carols, ("video", "sendrecv"), "carol's picture")
    jitsi.sees(bobs, ("audio", "sendrecv"), "bob")
    wait_until(lambda: len(jitsi.shows()[bobs].status) == 2 or not jitsi.agent.receive("NOTIFY"), what="bob's second device")
    change(bob, "sendonly")
    jitsi.sees(bobs, ("audio", "inactive"), "that bob holds")
    assert sorted(jitsi.members[bobs].status) == ["connected", "on-hold"]
    change(bob, "sendrecv")
    for key in "*6":
        assert press(carol, key).word == "200"
    jitsi.sees(carols, ("audio", "recvonly"), "that carol is muted")
    assert jitsi.members[carols].status == ["muted-via-focus"] and jitsi.members[carols].name == "Carol"
    carol.send("BYE")
    while carols in jitsi.shows():
        jitsi.agent.receive("NOTIFY")

    read = [valid(one) for one in jitsi.agent.documents(lambda text: True, "anything")]
    states = [document.get("state") for document in read]
    assert states[0] == "full" and set(states[1:]) == {"partial"} and len(states) > 4
    said = b"".join(etree.tostring(document) for document in read)
    for mark in (b"<unencrypted", b'state="deleted"', b"muted-via-focus", b"on-hold", b"<type>video", b"<disconnection-method>departed<", b"<host-info>"):
        assert mark in said, mark
    # Who subscribes outside any call reads the same, and a fetch is the whole.
    watcher = Listening("carol", Udp(jitsi.service))
    try:
        headers = [f"From: <{watcher.aor}>;tag=w", f"To: <{URI}>", f"Call-ID: {uuid.uuid4()}", "Event: conference", "Expires: 0"]
        assert watcher.ask("SUBSCRIBE", URI, headers).word == "200"
        (fetched,) = watcher.documents(lambda text: True, "anything")
        assert valid(fetched).get("state") == "full"
    finally:
        watcher.close()


def test_the_room_and_its_conference_name_each_other(service, legs):
    async def information():
        alice = await Chat("alice", service).connect()
        answer = await alice.plugin["xep_0030"].get_info(jid=ROOM, timeout=10)
        await alice.close()
        form = answer.xml.find(".//{jabber:x:data}x")
        values = {field.get("var"): field.findtext("{jabber:x:data}value") for field in form.findall("{jabber:x:data}field")}
        assert values["FORM_TYPE"] == "http://jabber.org/protocol/muc#roominfo"
        return {name: value for name, value in values.items() if "audio-video-uri" in name}

    named = asyncio.run(information())
    assert named == {"audio-video-uri": URI, "muc#roominfo_audio-video-uri": URI}
    jitsi = legs(Jitsi, "alice")
    (text, *_) = jitsi.agent.documents(lambda body: "<conference-description>" in body, "what the conference is")
    document = valid(text)
    assert document.get("entity") == named["audio-video-uri"], "the conference is the one that the room names"
    uris = document.findall(f"{INFO}conference-description/{INFO}service-uris/{INFO}entry")
    links = {entry.findtext(f"{INFO}purpose"): entry.findtext(f"{INFO}uri") for entry in uris}
    assert links == {"grouptextchat": f"xmpp:{ROOM}?join"}, "the room is the one that names the conference"
    assert document.findtext(f".//{INFO}maximum-user-count") == "200"
