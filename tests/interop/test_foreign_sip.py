"""Kamailio as the server of another domain, and what sipsak asks of ours."""

import socket
import subprocess

import pytest
from conftest import DOMAIN, PASSWORD, Service, wait_until
from phone import RATE, Phone
from trunk import Domain
from zone import Zone


@pytest.mark.parametrize("outward", [True, False])
def test_two_domains_call(tmp_path, outward):
    zone = Zone()
    service = Service(tmp_path, CUSAX_SIP__DNS=f"127.0.0.1:{zone.port}").start()
    there = Domain(tmp_path, "far", OURS=DOMAIN, THEIRS=service.ports["sip.udp"]).start()
    zone.host("sip.far.test", "127.0.0.1")
    zone.srv("_sip._udp.far.test", there.port, "sip.far.test")
    alice, carol = Phone(service, "alice", hertz=440), Phone(there, "carol", hertz=660, domain=there.realm)
    try:
        service.add("alice")
        calling, called, callee = (alice, carol, f"carol@{there.realm}") if outward else (carol, alice, f"alice@{DOMAIN}")
        called.start().wait_for("SIP/2.0 200 OK")
        calling.start(f"/dial sip:{callee}").wait_for("Call established")
        for phone in (alice, carol):
            phone.wait_for("incoming rtp for 'audio' established")
            wait_until(lambda: len(phone.heard()) >= 2 * RATE, 15, f"{phone.name} hears two seconds")
    finally:
        for phone in (alice, carol):
            if phone.process:
                phone.stop()
        there.stop()
        service.stop()
        zone.close()
    assert alice.hears(660) > 2000 and carol.hears(440) > 2000
    assert "SIP/2.0 200 OK" in calling.says().split("BYE", 1)[1], "the BYE was answered"
    if outward:
        assert f"DOMAIN call from sip:alice@{DOMAIN} says <xmpp:alice@{DOMAIN}>;purpose=impp" in there.says()


def sipsak(service, name, *words):
    # It goes to the address of this machine: what stands in the URI's host is our domain.
    target = f"sip:{name}{DOMAIN}:{service.ports['sip.udp']}"
    done = subprocess.run(["sipsak", *words, "-s", target], capture_output=True, text=True, errors="replace", timeout=60)
    return done.returncode, done.stdout + done.stderr


def port_of_four_digits():
    """sipsak writes no more of a port into its URIs."""
    for port in range(6_000, 10_000):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            try:
                one.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no port of four digits is free")


def test_sipsak_asks_and_registers_and_its_trash_changes_nothing(tmp_path):
    service = Service(tmp_path, CUSAX_SIP__UDP=f"127.0.0.1:{port_of_four_digits()}").start()
    try:
        service.add("alice")
        proof = ("-u", "alice", "-a", PASSWORD)
        code, said = sipsak(service, "", "-vv")
        assert code == 0 and "SIP/2.0 200 OK" in said, said
        code, said = sipsak(service, "alice@", "-vv")
        assert code == 1 and "SIP/2.0 480" in said, said
        code, said = sipsak(service, "alice@", "-U", "-i", "-x", "60", *proof)
        assert code == 0, said
        code, said = sipsak(service, "alice@", "-U", "-i", "-x", "60", "-u", "alice", "-a", "wrong")
        assert code != 0, said
        sipsak(service, "alice@", "-R", "-t", "40")
        code, said = sipsak(service, "alice@", "-U", "-i", "-x", "60", *proof)
        assert code == 0, said
    finally:
        service.stop()
