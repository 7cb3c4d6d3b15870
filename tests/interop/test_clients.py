"""Clients that people use, run and not imitated: each logs in over TLS, says something, hears the answer, and enters a room."""

import asyncio
import fcntl
import json
import os
import pty
import select
import shutil
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from browser import Browser
from chat import Chat
from conftest import DOMAIN, PASSWORD, ROOMS

ROOM = f"dev@{ROOMS}"
HERE = Path(__file__).resolve().parent


@pytest.fixture
def served(service):
    service.add("alice", "bob")
    service.run("room", "add", ROOM, "--owner", f"bob@{DOMAIN}")
    return service


def trusting(service, folder):
    """An environment in which the CA of the service is the only one."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "XDG_CONFIG_HOME": f"{folder}/config",
        "XDG_DATA_HOME": f"{folder}/share",
        "SSL_CERT_FILE": str(service.ca),
        "NODE_EXTRA_CA_CERTS": str(service.ca),
        "TERM": "xterm",
        "LANG": "C.UTF-8",
    }


async def out_of(program, *words):
    """A program of a story, with pipes."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return await asyncio.create_subprocess_exec(program, *words[:-1], env=words[-1], **pipes)


async def partner(served):
    """Bob, who hears of rooms as well."""
    bob = Chat("bob", served)
    bob.add_event_handler("groupchat_presence", bob.presences.append)
    return await bob.connect()


def said(text):
    return lambda message: message["body"] == text


def test_go_sendxmpp(served, tmp_path):
    def words(port, *more):
        address = f"127.0.0.1:{served.ports[port]}"
        return ["-u", f"alice@{DOMAIN}", "-p", PASSWORD, "-j", address, *more, trusting(served, tmp_path)]

    async def send(text, *how):
        sending = await out_of("go-sendxmpp", *words(*how))
        out, _ = await asyncio.wait_for(sending.communicate(text.encode() + b"\n"), 20)
        assert sending.returncode == 0, out.decode()

    async def story():
        bob = await partner(served)
        await send("by STARTTLS", "xmpp.c2s", f"bob@{DOMAIN}")
        await bob.got(said("by STARTTLS"), "the first")
        await send("by direct TLS", "xmpp.c2s_tls", "-t", f"bob@{DOMAIN}")
        await bob.got(said("by direct TLS"), "the second")
        await bob.join(ROOM)
        await send("in the room", "xmpp.c2s", "-c", "-a", "sender", ROOM)
        got = await bob.got(said("in the room"), "what is said in the room")
        assert got["from"] == f"{ROOM}/sender"
        listening = await out_of("go-sendxmpp", *words("xmpp.c2s", "-l"))
        for _ in range(50):
            bob.send_message(f"alice@{DOMAIN}", "do you hear me?", mtype="chat")
            try:
                line = await asyncio.wait_for(listening.stdout.readline(), 0.5)
            except TimeoutError:
                continue
            assert b"do you hear me?" in line and b"bob@" in line, line
            break
        else:
            raise AssertionError("alice heard nothing")
        listening.kill()
        await listening.wait()
        await bob.close()

    asyncio.run(story())


class Terminal:
    """A program that wants a screen."""

    def __init__(self, words, environment, **more):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        self.process = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True, **more)
        os.close(slave)
        self.shown = ""

    def type(self, line):
        os.write(self.master, line.encode() + b"\r")

    async def shows(self, text, seconds=20):
        end = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < end, f"no {text!r} on the screen: {self.shown[-3000:]!r}"
            if select.select([self.master], [], [], 0)[0]:
                self.shown += os.read(self.master, 65536).decode(errors="replace")
            else:
                await asyncio.sleep(0.05)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


def test_profanity(served, tmp_path):
    accounts = tmp_path / "share/profanity/accounts"
    accounts.parent.mkdir(parents=True)
    accounts.write_text(f"""
[alice]
enabled=true
jid=alice@{DOMAIN}
server=127.0.0.1
port={served.ports["xmpp.c2s"]}
tls.policy=force
password={PASSWORD}
resource=profanity
""")

    async def story():
        bob = await partner(served)
        screen = Terminal(["profanity", "-a", "alice"], trusting(served, tmp_path))
        try:
            await screen.shows("logged in successfully")
            screen.type(f"/msg bob@{DOMAIN} hello-from-profanity")
            got = await bob.got(said("hello-from-profanity"), "what she types")
            bob.send_message(got["from"], "hello-from-bob", mtype="chat")
            await screen.shows("hello-from-bob")
            await bob.join(ROOM)
            screen.type(f"/join {ROOM} nick terminal")
            await bob.saw(lambda p: p["from"] == f"{ROOM}/terminal", "her in the room")
            screen.type("in-the-room")
            await bob.got(lambda m: m["body"] == "in-the-room" and m["from"] == f"{ROOM}/terminal", "what she says there")
            bob.send_message(ROOM, "welcome-inside", mtype="groupchat")
            await screen.shows("welcome-inside")
        finally:
            screen.close()
        await bob.close()

    asyncio.run(story())


def test_xmpp_js_over_a_websocket(served, tmp_path):
    url = f"wss://{DOMAIN}:{served.ports['http.https']}/xmpp-websocket"

    async def story():
        bob = await partner(served)
        await bob.join(ROOM)
        words = [str(HERE / "browser/chat.mjs"), url, DOMAIN, "alice", PASSWORD, ROOM]
        node = await out_of(shutil.which("node"), *words, trusting(served, tmp_path))

        async def told(key):
            while line := await asyncio.wait_for(node.stdout.readline(), 20):
                if line.startswith(b"{") and key in (one := json.loads(line)):
                    return one[key]
            raise AssertionError(f"it ended without telling {key}")

        assert (await told("online")).startswith(f"alice@{DOMAIN}/node")
        assert await told("roster") == 0
        got = await bob.got(said("node is in the room"), "what it says in the room")
        assert got["from"] == f"{ROOM}/alice"
        bob.send_message(f"alice@{DOMAIN}", "hello", mtype="chat")
        await bob.got(said("node heard: hello"), "its answer")
        bob.send_message(f"alice@{DOMAIN}", "good night", mtype="chat")
        assert await asyncio.wait_for(node.wait(), 20) == 0
        await bob.close()

    asyncio.run(story())


def test_converse_in_chromium(served):
    url = f"wss://{DOMAIN}:{served.ports['http.https']}/xmpp-websocket"

    async def story():
        bob = await partner(served)
        await bob.join(ROOM)
        with Browser() as browser:
            page = browser.open("converse.html")
            ask = lambda script: asyncio.to_thread(page.value, script)
            page.begin(f"enter({url!r}, 'alice@{DOMAIN}', {PASSWORD!r})")
            await ask("new Promise(done => { const look = () => window.asked?.api.connection.connected() ? done(true) : setTimeout(look, 50); look(); })")
            say = f"asked.api.chats.open('bob@{DOMAIN}', {{}}, true).then(chat => chat.sendMessage({{ body: 'hello from converse' }})).then(() => 1)"
            await ask(say)
            got = await bob.got(said("hello from converse"), "what she writes")
            bob.send_message(got["from"], "hello from bob", mtype="chat")
            # It stands in the page as a person sees it.
            await ask("new Promise(done => { const look = () => document.body.innerText.includes('hello from bob') ? done(true) : setTimeout(look, 50); look(); })")
            await ask(f"asked.api.rooms.open('{ROOM}', {{ nick: 'conversing' }}, true).then(() => 1)")
            await bob.saw(lambda p: p["from"] == f"{ROOM}/conversing", "her in the room")
            bob.send_message(ROOM, "welcome inside", mtype="groupchat")
            await ask("new Promise(done => { const look = () => document.body.innerText.includes('welcome inside') ? done(true) : setTimeout(look, 50); look(); })")
            await ask(f"asked.api.rooms.get('{ROOM}').then(room => room.sendMessage({{ body: 'in the room' }})).then(() => 1)")
            got = await bob.got(said("in the room"), "what she says there")
            assert got["from"] == f"{ROOM}/conversing"
        await bob.close()

    asyncio.run(story())
