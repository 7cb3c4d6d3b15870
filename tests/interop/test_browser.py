"""Browsers call each other: JsSIP in Chromium over WSS, with media of their own (ICE, DTLS-SRTP) that the proxy does not touch."""

import json

import pytest
from browser import Browser
from conftest import DOMAIN, PASSWORD, ROOMS, Service, wait_until
from phone import Phone


def script(name, *words):
    return f"{name}({', '.join(json.dumps(word) for word in words)})"


def registered(browser, service, name):
    page = browser.open("phone.html")
    url = f"wss://localhost:{service.ports['http.https']}/sip"
    assert page.value(script("register", url, f"sip:{name}@{DOMAIN}", PASSWORD)) == "registered"
    return page


def test_two_browsers_call_each_other_and_hear(service):
    service.add("alice", "bob")
    with Browser() as browser:
        alice, bob = (registered(browser, service, name) for name in ("alice", "bob"))
        dialling = alice.begin(script("dial", f"sip:bob@{DOMAIN}"))
        incoming = bob.value("answer()")
        assert alice.finish(dialling) == "confirmed"
        assert incoming["info"] == f"<xmpp:alice@{DOMAIN}>;purpose=impp", "who calls can be written to (RFC 7081 §3.2)"
        for page in (alice, bob):
            wait_until(lambda page=page: page.value("heard()")["energy"] > 0, seconds=20, what="a sound")
            assert page.value("heard()")["state"] == "connected"
        ending = bob.begin("ended()")
        alice.value("call.terminate()")
        assert bob.finish(ending).startswith("ended")


def test_a_browser_is_told_why_a_call_fails(service):
    service.add("alice", "bob")
    with Browser() as browser:
        alice = registered(browser, service, "alice")
        assert alice.value(script("dial", f"sip:bob@{DOMAIN}")) == "failed: Unavailable", "bob has no phone"
        assert alice.value(script("dial", f"sip:nobody@{DOMAIN}")) == "failed: Not Found"
        page = browser.open("phone.html")
        url = f"wss://localhost:{service.ports['http.https']}/sip"
        assert page.value(script("register", url, f"sip:bob@{DOMAIN}", "wrong")).startswith("failed: ")


def test_browsers_confer_in_a_room(service):
    service.add("alice", "bob")
    room = f"dev@{ROOMS}"
    service.run("room", "add", room, "--owner", f"alice@{DOMAIN}")
    with Browser() as browser:
        alice, bob = (registered(browser, service, name) for name in ("alice", "bob"))
        for page in (alice, bob):
            assert page.value(script("dial", f"sip:{room}")) == "confirmed"
        for page in (alice, bob):
            wait_until(lambda page=page: page.value("heard()")["energy"] > 0.001, seconds=20, what="the other's beeps")
            assert page.value("heard()")["state"] == "connected"
        ending = bob.begin("ended()")
        bob.value("call.terminate()")
        assert bob.finish(ending).startswith("ended")


@pytest.mark.parametrize("ice", ["full", "lite"])
def test_a_browser_is_asked_whether_it_wants_what_it_is_sent(tmp_path, ice):
    service = Service(tmp_path, CUSAX_CONFERENCE__ICE=ice).start()
    try:
        service.add("alice", "bob")
        room = f"dev@{ROOMS}"
        service.run("room", "add", room, "--owner", f"alice@{DOMAIN}")
        with Browser() as browser:
            alice, bob = (registered(browser, service, name) for name in ("alice", "bob"))
            for page in (alice, bob):
                assert page.value(script("dial", f"sip:{room}")) == "confirmed"
            for page in (alice, bob):
                wait_until(lambda page=page: page.value("heard()")["energy"] > 0.001, seconds=20, what="the other's beeps")
                if ice == "full":
                    # Once to begin with, and again every four to six seconds.
                    wait_until(lambda page=page: page.value("asked()")["answers"] >= 2, seconds=20, what="one more question")
                else:
                    assert page.value("asked()")["requests"] == 0
    finally:
        service.stop()


def test_a_browser_and_a_phone_with_a_camera_see_each_other(service):
    service.add("alice", "bob")
    room = f"dev@{ROOMS}"
    service.run("room", "add", room, "--owner", f"alice@{DOMAIN}")
    phone = Phone(service, "bob", pictures=True)
    with Browser() as browser:
        alice = registered(browser, service, "alice")
        assert alice.value(script("dialSeeing", f"sip:{room}")) == "confirmed"
        try:
            phone.start(f"/dial sip:{room}")
            phone.wait_for("Call established")
            wait_until(lambda: alice.value("seen()")["frames"] > 10, seconds=30, what="the phone's picture")
            assert alice.value("seen()")["width"] == 320
            phone.wait_for("video: receiving with resolution ")
        finally:
            phone.stop()


def test_browsers_see_each_other_by_h264(service):
    service.add("alice", "bob")
    room = f"dev@{ROOMS}"
    service.run("room", "add", room, "--owner", f"alice@{DOMAIN}")
    with Browser() as browser:
        pages = [registered(browser, service, name) for name in ("alice", "bob")]
        for page in pages:
            assert page.value(script("dialSeeingIn", f"sip:{room}", "video/H264")) == "confirmed"
        for page in pages:
            wait_until(lambda page=page: page.value("seen()")["frames"] > 10, seconds=30, what="the other's picture")
            seen = page.value("seen()")
            assert (seen["codec"], seen["width"] > 0) == ("video/H264", True), seen


def test_a_phone_that_the_focus_calls_sees_and_is_seen(service):
    service.add("alice", "bob")
    room = f"dev@{ROOMS}"
    service.run("room", "add", room, "--owner", f"alice@{DOMAIN}")
    phone = Phone(service, "bob", pictures=True).start()
    with Browser() as browser:
        alice = registered(browser, service, "alice")
        try:
            phone.wait_for("200 OK")
            assert alice.value(script("dialSeeing", f"sip:{room}")) == "confirmed"
            alice.value(f"call.refer('sip:bob@{DOMAIN}') && null")
            phone.wait_for("video: receiving with resolution ")
            wait_until(lambda: alice.value("seen()")["frames"] > 10, seconds=30, what="the phone's picture")
        finally:
            phone.stop()


def test_a_browser_that_the_focus_calls_sees_several(service):
    service.add("alice", "bob", "carol")
    room = f"dev@{ROOMS}"
    service.run("room", "add", room, "--owner", f"alice@{DOMAIN}")
    with Browser() as browser:
        alice, bob, carol = (registered(browser, service, name) for name in ("alice", "bob", "carol"))
        for page in (alice, carol):
            assert page.value(script("dialSeeing", f"sip:{room}")) == "confirmed"
        answering = bob.begin("answerSeeing()")
        alice.value(f"call.refer('sip:bob@{DOMAIN}') && null")
        assert bob.finish(answering) == "confirmed"
        wait_until(lambda: len(moving(bob)) == 2, seconds=30, what="the two others, in media that the focus offered")
        wait_until(lambda: moving(alice), seconds=30, what="another's picture")


def moving(page):
    """The sizes of all streams that move."""
    return [(one["width"], one["height"]) for one in page.value("seenAll()")["seen"] if one["frames"] > 2]


def shapes(page):
    """Browsers make pictures smaller when they must, and leave their shapes."""
    return sorted("square" if width == height else "wide" for width, height in moving(page))


def test_a_browser_sees_several_at_once_and_what_is_shown(service):
    service.add("alice", "bob", "carol")
    room = f"dev@{ROOMS}"
    service.run("room", "add", room, "--owner", f"alice@{DOMAIN}")
    with Browser() as browser:
        alice, bob, carol = (registered(browser, service, name) for name in ("alice", "bob", "carol"))
        for page, wishes in ((alice, {"more": 3}), (bob, {"shows": True}), (carol, {})):
            assert page.value(script("dialSeeingAll", f"sip:{room}", wishes)) == "confirmed"
        wait_until(lambda: shapes(alice) == ["square", "wide", "wide"], seconds=40, what="two faces and a screen")
        # Who came with room for one is offered room for all that there is.
        wait_until(lambda: shapes(carol) == ["square", "wide", "wide"], seconds=20, what="the screen and two faces")
        wait_until(lambda: shapes(bob) == ["wide", "wide"], seconds=20, what="two faces, where somebody shows their screen")


def test_a_browser_that_came_for_the_sound_sees_what_others_show(service):
    service.add("alice", "bob", "carol")
    room = f"dev@{ROOMS}"
    service.run("room", "add", room, "--owner", f"alice@{DOMAIN}")
    with Browser() as browser:
        alice, bob, carol = (registered(browser, service, name) for name in ("alice", "bob", "carol"))
        assert alice.value(script("dial", f"sip:{room}")) == "confirmed"
        assert bob.value(script("dialSeeingAll", f"sip:{room}", {"shows": True})) == "confirmed"
        wait_until(lambda: shapes(alice) == ["square", "wide"], seconds=40, what="a face and a screen")
        assert carol.value(script("dialSeeing", f"sip:{room}")) == "confirmed"
        wait_until(lambda: shapes(alice) == ["square", "wide", "wide"], seconds=40, what="one more face")
        wait_until(lambda: alice.value("heard()")["energy"] > 0.001, seconds=20, what="and the beeps, as before")
        assert alice.value("seenAll()")["sent"] == [], "and shows nothing"


def wide(page):
    """How wide the pictures of 16:9 are that move; the browsers' own cameras have 4:3."""
    return [width for width, height in moving(page) if width * 9 == height * 16]


def test_a_browser_sends_layers_and_each_gets_what_it_can_take(service):
    service.add("alice", "bob", "carol")
    room = f"dev@{ROOMS}"
    service.run("room", "add", room, "--owner", f"alice@{DOMAIN}")
    with Browser() as browser:
        alice, bob, carol = (registered(browser, service, name) for name in ("alice", "bob", "carol"))
        assert alice.value(script("dialSeeingAll", f"sip:{room}", {"layers": ["l", "h"]})) == "confirmed"
        assert bob.value(script("dialSeeing", f"sip:{room}")) == "confirmed"
        assert carol.value(script("dialSeeingAll", f"sip:{room}", {"most": 150})) == "confirmed"

        def twice():
            great, small = (max(wide(page), default=0) for page in (bob, carol))
            return 0 < great == 2 * small

        # What the layers take grows with what the browser finds that it can send: at first the great one may have room everywhere.
        wait_until(twice, seconds=60, what="the great layer for bob, the small one for carol, who has no room for more")
        wait_until(lambda: sum(one["frames"] > 10 for one in alice.value("seenAll()")["sent"]) == 2, seconds=20, what="two layers")
        # How packets come is told, so that the browser learns that it can send more than it began with.
        wait_until(lambda: alice.value("seenAll()")["available"] > 300_000, seconds=60, what="a greater estimate")


def test_browsers_see_who_speaks_in_a_room(service):
    service.add("alice", "bob", "carol")
    room = f"dev@{ROOMS}"
    service.run("room", "add", room, "--owner", f"alice@{DOMAIN}")
    with Browser() as browser:
        pages = [registered(browser, service, name) for name in ("alice", "bob", "carol")]
        for page in pages:
            # Who comes later sees nothing until somebody is asked for a whole picture.
            assert page.value(script("dialSeeing", f"sip:{room}")) == "confirmed"
            if page is not pages[0]:
                wait_until(lambda page=page: page.value("seen()")["frames"] > 20, seconds=30, what="another's picture")
        for page in pages:
            wait_until(lambda page=page: page.value("seen()")["frames"] > 20, seconds=30, what="another's picture")
            seen = page.value("seen()")
            assert seen["width"] > 0 and seen["whole"] >= 1, seen
            wait_until(lambda page=page: page.value("heard()")["energy"] > 0.001, seconds=20, what="the others' beeps")
        assert sum(page.value("seen()")["wanted"] for page in pages) >= 1, "whole pictures were asked for"
        for page in pages:
            wait_until(lambda page=page: (page.value("apart()") or 1000) < 100, seconds=30, what="lips that move in time")
