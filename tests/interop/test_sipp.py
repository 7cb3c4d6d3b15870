"""sipp: REGISTER with Digest, a hundred calls through the proxy, none failed; and legs of a room, with sound."""

import math
import re
import subprocess
from pathlib import Path

import pytest
from conftest import PASSWORD, ROOMS, Service, free_port, wait_until
from phone import Phone

SCENARIOS = Path(__file__).parent / "sipp"


def sipp(service, *words, port, ip="127.0.0.1", target=None):
    target = target or f"{ip}:{service.ports['sip.udp']}"
    command = ["sipp", target, "-i", ip, "-mi", ip, "-p", str(port), "-nostdin", "-trace_msg", *words]
    return subprocess.Popen(command, cwd=service.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_hundred_calls_and_none_fails(service):
    service.add("alice", "bob")
    bobs_port = free_port()
    register = sipp(service, "-sf", str(SCENARIOS / "register.xml"), "-s", "bob", "-au", "bob", "-ap", PASSWORD, "-m", "1", port=bobs_port)
    said, _ = register.communicate(timeout=30)
    assert register.returncode == 0, said
    bob = sipp(service, "-sn", "uas", port=bobs_port)
    try:
        alice = sipp(service, "-sf", str(SCENARIOS / "call.xml"), "-au", "alice", "-ap", PASSWORD, "-m", "100", "-r", "25", port=free_port())
        said, _ = alice.communicate(timeout=60)
        assert alice.returncode == 0, said[:3000]
    finally:
        bob.terminate()
        bob.communicate(timeout=15)
    assert 'sip_server_calls_total 100' in service.metrics()


def mulaw(sample):
    """G.711, table 2a."""
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF


def counted(service, name):
    return int(re.search(rf"^{name} (\d+)", service.metrics(), re.M).group(1))


@pytest.mark.parametrize("kind, ip", [("plays", "127.0.0.1"), ("echoes", "127.0.0.1"), ("plays", "::1"), ("echoes", "::1")])
def test_a_leg_that_plays_is_heard_and_one_that_echoes_brings_back_what_it_heard(tmp_path, kind, ip):
    six = free_port(address="::1")
    # Ports of RTP are of the family that a leg has, as by default.
    service = Service(tmp_path, CUSAX_SIP__UDP=f"[::1]:{six},127.0.0.1:0", CUSAX_CONFERENCE__MEDIA="0.0.0.0:0").start()
    try:
        meet_in_a_room(service, kind, ip, f"[::1]:{six}" if ip == "::1" else None)
    finally:
        service.stop()


def meet_in_a_room(service, kind, ip, target):
    service.add("alice", "bob")
    service.run("room", "add", f"lounge@{ROOMS}", "--owner", "alice@localhost")
    bob = Phone(service, "bob", "udp", 660, "pcmu", None).start(f"/dial sip:lounge@{ROOMS}")
    tone = bytes(mulaw(int(8000 * math.sin(2 * math.pi * 880 * n / 8000))) for n in range(8000))
    (service.folder / "tone.ul").write_bytes(tone)
    scenario = (SCENARIOS / "leg.xml").read_text()
    media = free_port()
    if kind == "plays":
        play = '<nop><action><exec rtp_stream="tone.ul,-1,0,PCMU/8000"/></action></nop>'
        scenario, words = scenario.replace("MEDIA", "[rtpstream_audio_port]"), []
    else:
        play, words = "", ["-rtp_echo", "-mp", str(media)]
        scenario = scenario.replace("MEDIA", str(media))
    (service.folder / "leg.xml").write_text(scenario.replace("PLAY", play))
    leg = None
    try:
        bob.wait_for("Call established")
        before = counted(service, "conference_rtp_received_total")
        leg = sipp(service, "-sf", "leg.xml", "-au", "alice", "-ap", PASSWORD, "-auth_uri", f"lounge@{ROOMS}", "-m", "1", *words, port=free_port(address=ip), ip=ip, target=target)
        hertz, other = (880, 660) if kind == "plays" else (660, 880)
        wait_until(lambda: bob.hears(hertz) > 1500, 15, f"bob hears {hertz} Hz")
        assert bob.hears(other) < 250
        said, _ = leg.communicate(timeout=30)
        assert leg.returncode == 0, said[-3000:]
        # Four of its six seconds, beside as many of bob's.
        assert counted(service, "conference_rtp_received_total") - before > 2 * 4 * 50
    finally:
        if leg:
            leg.kill()
            leg.communicate(timeout=15)
        bob.stop()
