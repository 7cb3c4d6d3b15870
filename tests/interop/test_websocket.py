"""A browser's transport: a WSS client (RFC 7118) registers by Digest, calls a UDP client, and is called by it."""

import http.client
import ssl
import uuid

from conftest import wait_until
from sip import SDP, Agent, Udp, Wss, contact, routes


def talk(caller, callee):
    """A whole call: the caller dials, the callee hangs up."""
    call_id = str(uuid.uuid4())
    ours, theirs = f"<{caller.aor}>;tag={caller.name}", f"<{callee.aor}>"
    headers = [f"From: {ours}", f"To: {theirs}", f"Call-ID: {call_id}"]
    caller.send("INVITE", callee.aor, headers, SDP)
    challenge = caller.receive("407")
    proof = caller.digest("INVITE", callee.aor, challenge.all("Proxy-Authenticate"))
    caller.send("INVITE", callee.aor, [*headers, f"Proxy-Authorization: {proof}"], SDP)
    invite = callee.receive("INVITE")
    assert invite.body == SDP
    callee.respond(invite, "180 Ringing")
    assert caller.receive("180").word == "180"
    callee.respond(invite, "200 OK", SDP)
    answer = caller.receive("200")
    assert answer.body == SDP
    number = answer["CSeq"].split()[0]
    dialog = [f"From: {ours}", f"To: {answer['To']}", f"Call-ID: {call_id}", *routes(answer, backwards=True)]
    caller.send("ACK", contact(answer), dialog, cseq=number)
    callee.receive("ACK")
    back = [f"From: {answer['To']}", f"To: {ours}", f"Call-ID: {call_id}", *routes(invite, backwards=False)]
    callee.send("BYE", contact(invite), back)
    bye = caller.receive("BYE")
    caller.respond(bye, "200 OK")
    callee.receive("200")
    return invite


def test_a_browser_and_a_phone_call_each_other(service):
    service.add("alice", "bob")
    alice, bob = Agent("alice", Wss(service)), Agent("bob", Udp(service))
    try:
        registered = alice.register()
        assert registered.word == "200" and contact(registered) == alice.contact
        assert bob.register().word == "200"
        at_bob = talk(alice, bob)
        assert at_bob.all("Via")[-1].startswith("SIP/2.0/WSS q7a1x.invalid"), "the browser's own, untouched"
        at_alice = talk(bob, alice)
        assert at_alice.uri == alice.contact
        assert at_alice["Via"].startswith("SIP/2.0/WSS 127.0.0.1:"), "ours, on the WebSocket"
        facing_alice = at_alice["Record-Route"].split(",")[0]
        assert ";transport=ws" in facing_alice
        assert 'sip_endpoint_connections{transport="wss"} 1' in service.metrics()
    finally:
        alice.close()
        bob.close()
    wait_until(lambda: 'sip_endpoint_connections{transport="wss"} 0' in service.metrics(), what="the connection's end")


def test_a_browser_that_left_is_not_rung(service):
    service.add("alice", "bob")
    alice, bob = Agent("alice", Wss(service)), Agent("bob", Udp(service))
    try:
        assert alice.register().word == "200" and bob.register().word == "200"
        alice.close()
        wait_until(lambda: 'sip_endpoint_connections{transport="wss"} 0' in service.metrics(), what="the end")
        headers = [f"From: <{bob.aor}>;tag=b", f"To: <{alice.aor}>", f"Call-ID: {uuid.uuid4()}"]
        assert bob.ask("INVITE", alice.aor, headers, SDP).word == "480"
    finally:
        bob.close()


def test_an_upgrade_for_another_subprotocol_is_refused(service):
    # By hand: a client of threads reads and writes one TLS connection at once as it is refused, which Python does not survive each time.
    trust = ssl.create_default_context(cafile=str(service.folder / "data/tls/ca.pem"))

    def status(subprotocol):
        asked = http.client.HTTPSConnection("localhost", service.ports["http.https"], timeout=15, context=trust)
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": subprotocol}
        asked.request("GET", "/sip", headers={**upgrade, **key})
        answer = asked.getresponse()
        asked.close()
        return answer.status

    assert (status("sip"), status("xmpp")) == (101, 400)
