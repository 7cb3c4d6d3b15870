"""Relays of others: rtpengine between two people that a NAT parts, and coturn with the passwords that clients are given."""

import asyncio
import os
import re
import socket
import struct
import subprocess
import threading
import time
import xml.etree.ElementTree as ET

import pytest
from chat import Chat
from conftest import DOMAIN, Service, free_port, wait_until
from sip import Agent, Udp, contact, routes


class Rtp:
    """One end of a call at an address of its own, which says the same thing again and again."""

    def __init__(self, address, says):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.settimeout(0.02)
        self.port = self.socket.getsockname()[1]
        self.says, self.heard, self.to, self.running = says, {}, None, True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        number = 0
        while self.running:
            if self.to:
                head = struct.pack(">BBHII", 0x80, 0, number & 0xFFFF, number * 160 & 0xFFFFFFFF, 7)
                self.socket.sendto(head + self.says * 160, self.to)
                number += 1
            try:
                packet, source = self.socket.recvfrom(2048)
                if packet[1] & 0x7F == 0:
                    self.heard[packet[12:13]] = source
            except TimeoutError:
                pass

    def close(self):
        self.running = False
        self.thread.join()
        self.socket.close()


def sdp(address, port):
    return (
        f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        "a=rtpmap:0 PCMU/8000\r\n"
    )


def where(body):
    return re.search(r"c=IN IP4 (\S+)", body).group(1), int(re.search(r"m=audio (\d+)", body).group(1))


@pytest.fixture
def relayed(tmp_path):
    """A service with two relays, of which one is away."""
    port, away = free_port(), free_port()
    low = 30_000 + os.getpid() % 200 * 100
    words = ["rtpengine", "--foreground", "--log-stderr", "--table=-1", "--interface=127.0.0.1", "--log-level=6"]
    words += [f"--listen-ng=127.0.0.1:{port}", f"--port-min={low}", f"--port-max={low + 90}"]
    log = open(tmp_path / "rtpengine", "wb")
    relay = subprocess.Popen(words, stdout=log, stderr=log)
    nodes = f"127.0.0.1:{away},127.0.0.1:{port}"
    service = Service(tmp_path, CUSAX_SIP__RTPENGINE__NODES=nodes).start()
    yield service, relay, (low, low + 90)
    service.stop()
    relay.terminate()
    relay.wait(timeout=15)
    log.close()


def talk(service, relay_is_up, ports):
    """Alice, whose description names an address that is nobody's, calls bob. What each is told, and their ends."""
    alice, bob = Agent("alice", Udp(service)), Agent("bob", Udp(service))
    assert bob.register().word == "200"
    hers, his = Rtp("127.0.0.2", b"A"), Rtp("127.0.0.3", b"B")
    call_id = f"relay-{time.time()}"
    head = [f"From: <{alice.aor}>;tag=a", f"To: <{bob.aor}>", f"Call-ID: {call_id}"]
    took = []

    def take():
        took.append(bob.receive("INVITE"))
        bob.respond(took[0], "200 OK", sdp("127.0.0.3", his.port))

    taking = threading.Thread(target=take)
    taking.start()
    ok = alice.ask("INVITE", bob.aor, head, sdp("10.255.255.1", hers.port))
    taking.join()
    assert ok.word == "200", ok.start
    to = [head[0], f"To: {ok['To']}", head[2], *routes(ok, backwards=True)]
    alice.send("ACK", contact(ok), to, cseq=alice.cseq)
    assert bob.receive("ACK")
    return alice, bob, (hers, his), (where(took[0].body), where(ok.body)), (contact(ok), to)


def test_a_relay_brings_together_whom_a_nat_parts(relayed):
    service, relay, (low, high) = relayed
    service.add("alice", "bob")
    alice, bob, (hers, his), (told_bob, told_alice), (target, dialog) = talk(service, True, (low, high))
    try:
        for address, port in (told_bob, told_alice):
            assert address == "127.0.0.1" and low <= port <= high, (told_bob, told_alice)
        hers.to, his.to = told_alice, told_bob
        wait_until(lambda: b"B" in hers.heard and b"A" in his.heard, 10, "each hears the other")
        assert hers.heard[b"B"] == told_alice and his.heard[b"A"] == told_bob, "through the relay alone"
        alice.send("BYE", target, dialog)
        bob.respond(bob.receive("BYE"), "200 OK")
        assert alice.receive().word == "200"
        told = 'sip_server_relay_commands_total{command="delete",outcome="ok"} 1'
        wait_until(lambda: told in service.metrics(), 10, "the relay is told that the call is over")
        hers.heard.clear()
        time.sleep(1)
        assert not hers.heard, "and relays no more"
    finally:
        for end in (hers, his, alice, bob):
            end.close()


def test_a_call_goes_on_without_a_relay_that_died(relayed):
    service, relay, ports = relayed
    service.add("alice", "bob")
    relay.kill()
    relay.wait(timeout=15)
    begin = time.monotonic()
    alice, bob, ends, (told_bob, told_alice), _ = talk(service, False, ports)
    for end in (*ends, alice, bob):
        end.close()
    assert (told_bob[0], told_alice[0]) == ("10.255.255.1", "127.0.0.3"), "as it came"
    assert time.monotonic() - begin < 5
    assert 'sip_server_relay_commands_total{command="offer",outcome="silent"} 2' in service.metrics()


def test_coturn_takes_the_passwords_that_clients_are_given(tmp_path):
    port, secret = free_port(), tmp_path / "turn-secret"
    secret.write_text("a secret of two servers\n")
    low = 40_000 + os.getpid() % 200 * 100
    words = ["turnserver", "-n", "--use-auth-secret", "--static-auth-secret=a secret of two servers", "--fingerprint"]
    words += [f"--realm={DOMAIN}", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}"]
    words += ["--allow-loopback-peers", "--no-tls", "--no-dtls", "--no-cli", "--cli-password=x", "--log-file=stdout"]
    words += [f"--min-port={low}", f"--max-port={low + 90}", f"--pidfile={tmp_path}/pid", f"--userdb={tmp_path}/users"]
    log = open(tmp_path / "turnserver", "wb")
    turn = subprocess.Popen(words, stdout=log, stderr=log)
    service = Service(
        tmp_path,
        CUSAX_XMPP__TURN__SERVICES=f"turn:127.0.0.1:{port}?transport=udp",
        CUSAX_XMPP__TURN__SECRET_FILE=str(secret),
    ).start()
    try:
        service.add("alice")

        async def ask():
            alice = await Chat("alice", service).connect()
            wish = alice.make_iq_get(ito=service.domain)
            wish.append(ET.fromstring("<services xmlns='urn:xmpp:extdisco:2'/>"))
            told = (await wish.send(timeout=10)).xml.find(".//{urn:xmpp:extdisco:2}service[@type='turn']")
            await alice.close()
            return told.attrib

        told = asyncio.run(ask())
        assert (told["host"], told["port"], told["transport"]) == ("127.0.0.1", str(port), "udp")

        def relays(password):
            words = ["turnutils_uclient", "-y", "-c", "-n", "5", "-m", "1", "-l", "100", "-L", "127.0.0.1"]
            words += ["-p", told["port"], "-u", told["username"], "-w", password, told["host"]]
            done = subprocess.run(words, capture_output=True, text=True, timeout=60)
            return done.returncode == 0 and "Total lost packets 0 " in done.stdout, done.stdout + done.stderr

        wait_until(lambda: relays(told["password"])[0], 30, "what is sent through the relay comes back")
        is_relayed, said = relays("guessed")
        assert not is_relayed, said
    finally:
        service.stop()
        turn.terminate()
        turn.wait(timeout=15)
        log.close()
