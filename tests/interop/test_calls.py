"""Two baresip accounts call each other: over TLS and UDP, with sound, and with the caller's JID in Call-Info."""

import re

from conftest import DOMAIN, wait_until
from phone import RATE, Phone


def test_a_call_over_udp_and_tls_carries_sound_and_the_callers_jid(service):
    service.add("alice", "bob")
    bob = Phone(service, "bob", "tls", 660).start()
    alice = None
    try:
        bob.wait_for("SIP/2.0 200 OK")
        alice = Phone(service, "alice", "udp", 440).start(f"/dial sip:bob@{DOMAIN}")
        alice.wait_for("Call established")
        bob.wait_for("incoming rtp for 'audio' established")
        alice.wait_for("incoming rtp for 'audio' established")
        for phone in (alice, bob):
            wait_until(lambda: len(phone.heard()) >= 2 * RATE, 15, f"{phone.name} hears two seconds")
    finally:
        if alice:
            alice.stop()
        bob.stop()
    assert alice.hears(660) > 2000 and bob.hears(440) > 2000
    assert alice.hears(440) < 200 and bob.hears(660) < 200
    invite = re.search(r"INVITE sip:bob.*?\r?\n\r?\n", bob.says(), re.S).group(0)
    assert f"Call-Info: <xmpp:alice@{DOMAIN}>;purpose=impp" in invite
    assert invite.count("purpose=impp") == 1
    assert "SIP/2.0 200 OK" in alice.says().split("BYE", 1)[1], "the BYE was answered"
