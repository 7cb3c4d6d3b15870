"""A real carrier: Kamailio, with which we register, through which a telephone is called and calls."""

import asyncio
import csv
import json
import signal
import socket
import subprocess
import uuid
from pathlib import Path

import pytest
from chat import Chat
from conftest import ROOMS, Service, free_port, wait_until
from phone import Phone
from sip import SDP, Agent, Udp
from trunk import Carrier, as_table

DID = "+33140000001"
SCENARIOS = Path(__file__).parent / "sipp"


class Telephone(Udp):
    """The telephone behind the carrier, as a carrier of an agent."""

    def __init__(self, carrier):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", carrier.phone_port))
        self.socket.settimeout(15)
        self.server = ("127.0.0.1", carrier.port)
        self.sent_by = f"127.0.0.1:{carrier.phone_port}"
        self.contact = "sip:{}@" + self.sent_by


@pytest.fixture
def carrier(tmp_path):
    running = Carrier(tmp_path).start()
    yield running
    running.stop()


def serve(tmp_path, *trunks, **environment):
    return Service(
        tmp_path,
        CUSAX_SIP__TRUNKS="[" + ", ".join(trunks) + "]",
        CUSAX_SIP__NUMBERS__COUNTRY='"33"',
        **environment,
    ).start()


def sipp_answers(carrier):
    words = ["sipp", "-sf", str(SCENARIOS / "answer.xml"), "-i", "127.0.0.1", "-p", str(carrier.phone_port), "-nostdin"]
    return subprocess.Popen(words, cwd=carrier.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def invite(agent, uri, number):
    headers = [f"From: <sip:{number}@carrier.example>;tag={uuid.uuid4().hex[:8]}", f"To: <{uri}>", f"Call-ID: {uuid.uuid4()}"]
    agent.send("INVITE", uri, headers, SDP)
    return agent.receive()


def test_we_register_and_a_telephone_is_called_and_calls(tmp_path, carrier):
    service = serve(tmp_path, carrier.as_trunk(register=True, number="+33140000099"))
    telephone = alice = bob = answering = None
    try:
        service.add("alice")
        service.add("bob", options=("--number", DID))
        wait_until(lambda: 'sip_server_trunk_registered{trunk="carrier"} 1' in service.metrics(), 15, "the registration")

        # Out: a baresip of ours calls a sipp behind the carrier.
        answering = sipp_answers(carrier)
        alice = Phone(service, "alice").start("/dial sip:0140123456@localhost")
        alice.wait_for("Call established")
        wait_until(lambda: "CARRIER call to +33140123456" in carrier.says(), what="the carrier's line")
        assert "asserted <sip:+33140000099@localhost;user=phone>" in carrier.says()
        alice.stop()
        assert "SIP/2.0 200 OK" in alice.says().split("BYE", 1)[1], "the BYE was answered"
        alice = None
        answering.terminate()
        answering.wait(timeout=15)
        assert 'sip_server_trunk_calls_total{direction="out",trunk="carrier"} 1' in service.metrics()

        # In: the telephone dials bob's number; the carrier calls the contact that we registered.
        bob = Agent("bob", Udp(service))
        assert bob.register().word == "200"
        telephone = Agent("telephone", Telephone(carrier))
        uri = f"sip:{DID}@127.0.0.1:{carrier.port}"
        headers = ["From: <sip:+33611111111@carrier.example>;tag=t", f"To: <{uri}>", f"Call-ID: {uuid.uuid4()}"]
        telephone.send("INVITE", uri, headers, SDP)
        ringing = bob.receive("INVITE")
        bob.respond(ringing, "200 OK", SDP)
        assert telephone.receive("200").body.strip().startswith("v=0")
        # Nobody's number is nobody's, and does not go out again.
        nobody = invite(telephone, f"sip:+33140999999@127.0.0.1:{carrier.port}", "+33611111111")
        assert nobody.word == "404"
    finally:
        for one in (telephone, bob):
            if one:
                one.close()
        if alice:
            alice.stop()
        if answering and answering.poll() is None:
            answering.terminate()
            answering.wait(timeout=15)
        service.stop()


def test_a_dead_trunk_is_passed_over(tmp_path, carrier):
    dead = as_table({"name": "dead", "server": f"sip:127.0.0.1:{free_port()}", "priority": 1, "answer": "1s", "probe": "1s"})
    service = serve(tmp_path, dead, carrier.as_trunk(priority=2))
    answering, alice = sipp_answers(carrier), None
    try:
        service.add("alice")
        alice = Phone(service, "alice").start("/dial sip:+33140123456@localhost")
        alice.wait_for("Call established", 20)
        wait_until(lambda: 'sip_server_trunk_up{trunk="dead"} 0' in service.metrics(), 20, "the dead trunk is down")
        assert 'sip_server_trunk_up{trunk="carrier"} 1' in service.metrics()
    finally:
        if alice:
            alice.stop()
        answering.terminate()
        answering.wait(timeout=15)
        service.stop()


def test_a_direct_number_leads_into_a_room(tmp_path, carrier):
    direct = "{ '%s' = 'lounge@%s' }" % (DID, ROOMS)
    service = serve(tmp_path, carrier.as_trunk(register=True), CUSAX_SIP__NUMBERS__DIRECT=direct, CUSAX_CONFERENCE__STRANGERS="true")
    telephone = None
    try:
        service.run("room", "add", f"lounge@{ROOMS}")
        wait_until(lambda: 'sip_server_trunk_registered{trunk="carrier"} 1' in service.metrics(), 15, "the registration")
        telephone = Agent("telephone", Telephone(carrier))
        joined = invite(telephone, f"sip:{DID}@127.0.0.1:{carrier.port}", "+33611111111")
        assert joined.word == "200" and "isfocus" in joined["Contact"], joined.start
    finally:
        if telephone:
            telephone.close()
        service.stop()


def test_a_charged_call_is_confirmed_by_chat_and_its_row_survives(tmp_path, carrier):
    tariffs = "[{ prefix = '+33', setup = '0.05', minute = '0.10' }]"
    service = serve(tmp_path, carrier.as_trunk(), CUSAX_SIP__NUMBERS__TARIFFS=tariffs, CUSAX_SIP__COST__CONFIRM="pstn")
    answering = sipp_answers(carrier)

    async def confirm():
        chat = await Chat("alice", service).connect()
        alice = Phone(service, "alice").start("/dial sip:0140123456@localhost")
        try:
            asked = await chat.got(lambda message: "Write yes" in message["body"], "the question")
            assert asked["from"].bare == "localhost" and "0.05 EUR and 0.10 EUR a minute" in asked["body"]
            chat.send_message("localhost", "yes", mtype="chat")
            await asyncio.to_thread(alice.wait_for, "Call established")
        finally:
            await asyncio.to_thread(alice.stop)
            await chat.close()
        assert "SIP/2.0 200 OK" in alice.says().split("BYE", 1)[1], "the BYE was answered"

    try:
        service.add("alice")
        asyncio.run(confirm())
        # The BYE was acknowledged, so that its row survives what comes next.
        while_it_runs = service.run("calls", "export", "--since", "1h", "--json")
        service.stop(signal.SIGKILL)
        rows = [json.loads(line) for line in service.run("calls", "export", "--json").splitlines()]
        assert [json.loads(line) for line in while_it_runs.splitlines()] == rows
        assert len(rows) == 1, rows
        row = rows[0]
        assert (row["result"], row["class"], row["trunk"], row["cost"]) == ("completed", "pstn", "carrier", "0.15")
        assert row["to"] == "sip:0140123456@localhost" and row["codecs"] == ["PCMU"]
        table = list(csv.DictReader(service.run("calls", "export", "--csv").splitlines()))
        assert [line["call_id"] for line in table] == [row["call_id"]]
    finally:
        answering.terminate()
        answering.wait(timeout=15)
        if service.process.poll() is None:
            service.stop()


def test_a_charged_call_is_announced_by_voice_and_confirmed_by_a_key(tmp_path, carrier):
    tariffs = "[{ prefix = '+33', setup = '0.05', minute = '0.10' }]"
    service = serve(
        tmp_path, carrier.as_trunk(), CUSAX_SIP__NUMBERS__TARIFFS=tariffs, CUSAX_SIP__COST__CONFIRM="pstn", CUSAX_SIP__COST__ANNOUNCE="true"
    )
    answering, alice = sipp_answers(carrier), None
    try:
        service.add("alice")
        alice = Phone(service, "alice").start("/dial sip:0140123456@localhost")
        wait_until(lambda: max(map(abs, alice.heard()), default=0) > 5000, what="the announcement is heard")
        assert "CARRIER call" not in carrier.says(), "before the telephone rings"
        alice.process.stdin.write(b"1")
        alice.process.stdin.flush()
        alice.wait_for("Call established")
        assert "CARRIER call to +33140123456" in carrier.says()
    finally:
        if alice:
            alice.stop()
        answering.terminate()
        answering.wait(timeout=15)
        service.stop()
