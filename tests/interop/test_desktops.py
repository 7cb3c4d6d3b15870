"""Gajim and Dino under Xvfb, and poezio: each logs in by what the service says to enter, over TLS with its own store of trust, shows and
is shown presence, and talks.

Neither lets the administrator of a machine run it; where the tests are run by root, they are run by nobody.
"""

import asyncio
import contextlib
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
from conftest import DOMAIN, PASSWORD, ROOMS, wait_until
from test_clients import Terminal, partner, said, trusting
from test_provisioning import fetch

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
        # What else the program draws comes between the two.
        await self.shows(line[1:].split()[-1])
        os.write(self.master, b"\r")


def test_poezio(served, home):
    settings = home / "poezio.cfg"
    # The password is asked for; here the file says it. The port is free and in no record of a name server, so that it is said as well.
    port = f"custom_host = 127.0.0.1\ncustom_port = {served.ports['xmpp.c2s']}\n"
    settings.write_text(f"{fetch(served, '/provision/poezio.cfg', PASSWORD)[1]}{port}password = {PASSWORD}\nenable_smacks = true\n")

    async def story():
        bob = await befriend(served)
        environment = trusts(served, home)
        screen = Lines(["poezio", "-f", str(settings)], environment, cwd=home, **as_nobody(home))
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
            await screen.say(f"/join {ROOM}/alice")
            await bob.saw(lambda p: p["from"] == f"{ROOM}/alice", "her in the room")
            await screen.say("in-the-room")
            await bob.got(lambda m: m["body"] == "in-the-room" and m["from"] == f"{ROOM}/alice", "what she says there")
            bob.send_message(ROOM, "welcome-inside", mtype="groupchat")
            await screen.shows("welcome-inside")
            await screen.say("/quit bye")
            await bob.saw(shown_as("unavailable"), "that she left")
        finally:
            screen.close()
        await bob.close()

    asyncio.run(story())


class Desktop:
    """A session on a screen that nobody sees, and what runs in it."""

    def __init__(self, served, home, how):
        (home / "run").mkdir(mode=0o700)
        self.environment = {
            **trusts(served, home),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "GSETTINGS_BACKEND": "memory",
            "NO_AT_BRIDGE": "1",
        }
        self.how, self.running = how(home), []
        bus = self.start("dbus-daemon", "--session", "--nofork", "--print-address=1")
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().decode().strip()
        screen = self.start("Xvfb", "-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp")
        self.environment["DISPLAY"] = ":" + screen.stdout.readline().decode().strip()

    def start(self, *words, stdout=subprocess.PIPE):
        # Its children are of its group: they end with it, and nobody else does.
        more = {"env": self.environment, "stdout": stdout, "stderr": subprocess.DEVNULL, "start_new_session": True}
        one = subprocess.Popen(words, **more, **self.how)
        self.running.append(one)
        return one

    def end(self, one):
        one.terminate()  # first, so that it can say goodbye by what is beside it
        try:
            one.wait(timeout=5)
        except subprocess.TimeoutExpired:
            one.kill()
            one.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.pid, signal.SIGKILL)
        self.running.remove(one)

    def close(self):
        for one in reversed(list(self.running)):
            self.end(one)


class Gajim(Desktop):
    """Gajim, told what to do, and telling what it heard, over the bus of its session."""

    def __init__(self, served, home):
        share, settings = home / "share/gajim", home / "config/gajim/settings.sqlite"
        for folder in (share / "cert_store", settings.parent):
            folder.mkdir(parents=True)
        shutil.copy(served.folder / "data/tls/server.pem", share / "cert_store/of-the-server")
        write_settings(settings, entries(served))
        super().__init__(served, home, as_nobody)
        self.heard = b""
        self.bus = self.start("dbus-monitor", "--session", "type='signal',interface='org.gajim.dbus.RemoteInterface'")
        os.set_blocking(self.bus.stdout.fileno(), False)
        self.start("gajim", stdout=subprocess.DEVNULL)

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


def entries(served):
    """What the service says to enter into the fields of Gajim's dialogue."""
    return dict(line.split(": ", 1) for line in fetch(served, "/provision/gajim-dino.txt", PASSWORD)[1].splitlines())


def write_settings(path, entries):
    """Gajim's settings with one account, as its dialogue leaves them, which it is to log in by itself."""
    name, host = entries["Address"].split("@")
    account = {
        "name": name,
        "hostname": host,
        "account_label": entries["Address"],
        "resource": "gajim",
        "active": True,
        "password": PASSWORD,
        "use_custom_host": True,
        "custom_host": entries["Server"],
        "custom_port": int(entries["Port (STARTTLS)"]),
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


async def bookmark(alice):
    iq = alice.make_iq_set()
    iq.append(ET.fromstring(BOOKMARK))
    await iq.send(timeout=10)


def test_gajim(served, home):
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


class Dino(Desktop):
    """Dino in a network of its own, for it is told an address alone, and asks at 5222; it believes whom the system believes."""

    def __init__(self, served, home):
        super().__init__(served, home, lambda _: {})
        door, ca = home / "run/door", home / "ca.pem"
        self.start("socat", f"UNIX-LISTEN:{door},fork", f"TCP:127.0.0.1:{served.ports['xmpp.c2s']}")
        believed = f"mount --bind {ca} /etc/ssl/certs/ca-certificates.crt"
        inside = f"ip link set lo up && {believed} && {{ socat TCP-LISTEN:5222,fork UNIX-CONNECT:{door} & exec dino-im; }}"
        self.words = [*OWN_NETWORK, "sh", "-c", inside]
        self.kept = home / "share/dino/dino.db"
        first = self.start(*self.words, stdout=subprocess.DEVNULL)
        wait_until(lambda: self.asks("SELECT 1 FROM sqlite_master WHERE name = 'settings'"), 30, "dino's first start")
        self.end(first)
        # As its dialogue leaves it.
        with sqlite3.connect(self.kept) as base:
            account = (entries(served)["Address"], "dino", PASSWORD)
            base.execute("INSERT INTO account (bare_jid, resourcepart, password, alias, enabled) VALUES (?, ?, ?, '', 1)", account)
        base.close()
        self.open()

    def open(self):
        self.dino = self.start(*self.words, stdout=subprocess.DEVNULL)

    def stop(self):
        self.end(self.dino)

    def asks(self, question):
        """What it keeps."""
        if not self.kept.exists():
            return []
        base = sqlite3.connect(f"file:{self.kept}?mode=ro", uri=True)
        try:
            return base.execute(question).fetchall()
        except sqlite3.OperationalError:
            return []  # it is being written
        finally:
            base.close()


OWN_NETWORK = ["unshare", "--net", "--mount"]


def test_dino(served, home):
    if subprocess.run([*OWN_NETWORK, "true"], capture_output=True).returncode != 0:
        pytest.skip("a network of its own wants root")

    async def story():
        bob = await befriend(served, bookmark)
        bob.register_plugin("xep_0184")
        received = []
        bob.add_event_handler("receipt_received", received.append)
        await bob.join(ROOM)
        dino = Dino(served, home)
        try:
            await bob.saw(shown_as("available"), "her online", 30)
            await bob.saw(lambda p: p["from"] == f"{ROOM}/window", "her in the room")
            message = bob.make_message(ALICE, "hello-from-bob", mtype="chat")
            message["request_receipt"] = True
            message.send()
            kept = "SELECT 1 FROM message WHERE body = '{}'"
            await asyncio.to_thread(wait_until, lambda: dino.asks(kept.format("hello-from-bob")), 15, "dino keeps what bob wrote")
            await asyncio.to_thread(wait_until, lambda: received, 10, "dino says that it came")
            bob.send_message(ROOM, "welcome-inside", mtype="groupchat")
            await asyncio.to_thread(wait_until, lambda: dino.asks(kept.format("welcome-inside")), 15, "and what he said in the room")
            # It goes without a word, and fetches what it missed.
            dino.stop()
            for how, to in (("chat", ALICE), ("groupchat", ROOM)):
                bob.send_message(to, f"missed-in-{how}", mtype=how)
            dino.open()
            for how in ("chat", "groupchat"):
                missed = kept.format(f"missed-in-{how}")
                await asyncio.to_thread(wait_until, lambda: dino.asks(missed), 30, f"what was missed in the {how}")
        finally:
            dino.close()
        await bob.close()

    asyncio.run(story())
