"""Gajim under Xvfb, and poezio: each logs in over TLS with its own store of trust, shows and is shown presence, and talks both ways.

Neither lets the administrator of a machine run it; where the tests are run by root, they are run by nobody.
"""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from chat import Chat
from conftest import DOMAIN, PASSWORD, ROOMS
from test_clients import Terminal, partner, said, trusting

ROOM = f"dev@{ROOMS}"
NOBODY = 65534
ALICE = f"alice@{DOMAIN}"
BOB = f"bob@{DOMAIN}"


@pytest.fixture
def served(service):
    service.add("alice", "bob")
    service.run("room", "add", ROOM, "--owner", BOB)
    return service


@pytest.fixture
def home():
    """A home of whoever runs the client."""
    folder = Path(tempfile.mkdtemp(prefix="cusax-desktop-"))
    yield folder
    shutil.rmtree(folder)


def as_nobody(home):
    """How a process is started that root may not be, once its home is all written."""
    if os.geteuid() != 0:
        return {}
    for folder, _, files in os.walk(home):
        os.chown(folder, NOBODY, NOBODY)
        for file in files:
            os.chown(Path(folder, file), NOBODY, NOBODY)
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def trusts(served, home):
    ca = home / "ca.pem"
    ca.write_bytes(served.ca.read_bytes())
    return {**trusting(served, home), "SSL_CERT_FILE": str(ca)}


async def befriend(served, and_then=None):
    """Alice and Bob see each other from now on."""
    alice = await Chat("alice", served).connect()
    bob = await partner(served)
    alice.send_presence_subscription(BOB)
    for one, other in ((alice, BOB), (bob, ALICE)):
        for _ in range(200):
            if one.client_roster[other]["subscription"] == "both":
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError(f"{one.name} is no friend of {other}: {one.client_roster[other]}")
    if and_then:
        await and_then(alice)
    await alice.close()
    bob.presences.clear()
    return bob


def shown_as(show, status=""):
    """Alice is there, and so."""
    return lambda p: p["from"].bare == ALICE and p["type"] == show and (not status or p["status"] == status)


class Lines(Terminal):
    """A terminal of a program that takes a line break which comes with a text for a part of it, as when it is pasted."""

    async def say(self, line):
        self.shown = ""
        # Where no line is written yet, the first sign opens one.
        os.write(self.master, line[:1].encode())
        await self.shows(line[:1])
        os.write(self.master, line[1:].encode())
        await self.shows(line.split()[-1])
        os.write(self.master, b"\r")


def test_poezio(served, home):
    settings = home / "poezio.cfg"
    settings.write_text(f"""[Poezio]
jid = {ALICE}/poezio
password = {PASSWORD}
custom_host = 127.0.0.1
custom_port = {served.ports["xmpp.c2s"]}
ca_cert_path = {home}/ca.pem
default_muc_service = {ROOMS}
default_nick = curses
enable_smacks = true
synchronise_open_rooms = true
""")

    async def story():
        bob = await befriend(served)
        environment = trusts(served, home)
        screen = Lines(["poezio", "-f", str(settings)], environment, **as_nobody(home))
        try:
            await bob.saw(shown_as("available"), "her online")
            await screen.shows(BOB)
            assert "Stream error" not in screen.shown, screen.shown
            await screen.say(f"/message {BOB} hello-from-poezio")
            got = await bob.got(said("hello-from-poezio"), "what she types")
            bob.send_message(got["from"], "hello-from-bob", mtype="chat")
            await screen.shows("hello-from-bob")
            await screen.say("/status dnd in-a-meeting")
            await bob.saw(shown_as("dnd", "in-a-meeting"), "that she is busy")
            bob.send_presence(pshow="away", pstatus="gone-fishing")
            await screen.shows("gone-fishing")
            await bob.join(ROOM)
            await screen.say(f"/join {ROOM}/curses")
            await bob.saw(lambda p: p["from"] == f"{ROOM}/curses", "her in the room")
            await screen.say("in-the-room")
            await bob.got(lambda m: m["body"] == "in-the-room" and m["from"] == f"{ROOM}/curses", "what she says there")
            bob.send_message(ROOM, "welcome-inside", mtype="groupchat")
            await screen.shows("welcome-inside")
            await screen.say("/quit bye")
            await bob.saw(shown_as("unavailable"), "that she left")
        finally:
            screen.close()
        await bob.close()

    asyncio.run(story())


class Gajim:
    """Gajim on a screen that nobody sees, told what to do, and telling what it heard, over the bus of its session."""

    def __init__(self, served, home):
        share, settings = home / "share/gajim", home / "config/gajim/settings.sqlite"
        for folder in (share / "cert_store", settings.parent, home / "run"):
            folder.mkdir(parents=True)
        shutil.copy(served.folder / "data/tls/server.pem", share / "cert_store/of-the-server")
        write_settings(settings, served.ports["xmpp.c2s"])
        self.environment = {
            **trusts(served, home),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "GSETTINGS_BACKEND": "memory",
            "NO_AT_BRIDGE": "1",
        }
        self.how = as_nobody(home)
        self.running, self.heard = [], b""
        bus = self.start("dbus-daemon", "--session", "--nofork", "--print-address=1")
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().decode().strip()
        screen = self.start("Xvfb", "-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp")
        self.environment["DISPLAY"] = ":" + screen.stdout.readline().decode().strip()
        self.bus = self.start("dbus-monitor", "--session", "type='signal',interface='org.gajim.dbus.RemoteInterface'")
        os.set_blocking(self.bus.stdout.fileno(), False)
        self.start("gajim", stdout=subprocess.DEVNULL)

    def start(self, *words, stdout=subprocess.PIPE):
        one = subprocess.Popen(words, env=self.environment, stdout=stdout, stderr=subprocess.DEVNULL, **self.how)
        self.running.append(one)
        return one

    async def told(self, *words):
        """What Gajim answers to a command; it hears them from five seconds after its start on."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        end = time.monotonic() + 30
        while True:
            asked = await asyncio.create_subprocess_exec("gajim-remote", *words, env=self.environment, **pipes, **self.how)
            out, wrong = await asyncio.wait_for(asked.communicate(), 20)
            if asked.returncode == 0:
                return out.decode()
            assert time.monotonic() < end, f"gajim-remote {words}: {wrong.decode()}"
            await asyncio.sleep(0.1)

    async def hears(self, *words, seconds=15):
        """Waits for a signal with these words."""
        end = time.monotonic() + seconds
        while True:
            self.heard += self.bus.stdout.read() or b""
            signals = self.heard.decode(errors="replace").split("\nsignal ")
            if any(all(f'"{word}"' in one for word in words) for one in signals):
                return
            assert time.monotonic() < end, f"gajim did not hear {words}: {self.heard.decode(errors='replace')[-3000:]}"
            await asyncio.sleep(0.05)

    def close(self):
        for one in reversed(self.running):
            one.send_signal(signal.SIGTERM)
            try:
                one.wait(timeout=5)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()


def write_settings(path, port):
    """Gajim's settings with one account, which it is to log in by itself."""
    account = {
        "name": "alice",
        "hostname": DOMAIN,
        "account_label": ALICE,
        "resource": "gajim",
        "active": True,
        "password": PASSWORD,
        "use_custom_host": True,
        "custom_host": "127.0.0.1",
        "custom_port": port,
        "custom_type": "START TLS",
    }
    app = {"use_keyring": False, "remote_control": True, "check_for_update": False, "plugins_update_check": False}
    settings = {"app": app, "soundevents": {}, "status_presets": {}, "proxies": {}, "plugins": {}, "workspaces": {"first": {}}}
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA user_version = 5")
        base.execute("CREATE TABLE settings (name TEXT UNIQUE, settings TEXT)")
        base.execute("CREATE TABLE account_settings (account TEXT UNIQUE, settings TEXT)")
        base.executemany("INSERT INTO settings VALUES (?, ?)", [(name, json.dumps(value)) for name, value in settings.items()])
        kept = json.dumps({"account": account, "contact": {}, "group_chat": {}})
        base.execute("INSERT INTO account_settings VALUES ('ours', ?)", (kept,))
    base.close()


BOOKMARK = f"""<pubsub xmlns='http://jabber.org/protocol/pubsub'>
<publish node='urn:xmpp:bookmarks:1'><item id='{ROOM}'>
<conference xmlns='urn:xmpp:bookmarks:1' name='Dev' autojoin='true'><nick>window</nick></conference>
</item></publish></pubsub>"""


def test_gajim(served, home):
    async def bookmark(alice):
        iq = alice.make_iq_set()
        iq.append(ET.fromstring(BOOKMARK))
        await iq.send(timeout=10)

    async def story():
        bob = await befriend(served, bookmark)
        await bob.join(ROOM)
        gajim = Gajim(served, home)
        try:
            await bob.saw(shown_as("available"), "her online", 30)
            # It enters the rooms that are bookmarked to be entered (XEP-0402).
            await bob.saw(lambda p: p["from"] == f"{ROOM}/window", "her in the room")
            assert BOB in await gajim.told("list_contacts", "ours")
            await gajim.told("send_chat_message", BOB, "hello-from-gajim", "ours")
            got = await bob.got(said("hello-from-gajim"), "what she writes")
            bob.send_message(got["from"], "hello-from-bob", mtype="chat")
            await gajim.hears("hello-from-bob")
            await gajim.told("change_status", "dnd", "in-a-meeting", "ours")
            await bob.saw(shown_as("dnd", "in-a-meeting"), "that she is busy")
            bob.send_presence(pshow="away", pstatus="gone-fishing")
            await gajim.hears(BOB, "away", "gone-fishing")
            await gajim.told("send_groupchat_message", ROOM, "in-the-room", "ours")
            await bob.got(lambda m: m["body"] == "in-the-room" and m["from"] == f"{ROOM}/window", "what she says there")
            bob.send_message(ROOM, "welcome-inside", mtype="groupchat")
            await gajim.hears(f"{ROOM}/bob", "welcome-inside")
            await gajim.told("change_status", "offline", "", "ours")
            await bob.saw(shown_as("unavailable"), "that she left")
        finally:
            gajim.close()
        await bob.close()

    asyncio.run(story())
