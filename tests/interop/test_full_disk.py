"""A disk that is full: what cannot be kept is refused, nothing ends, and all goes on when there is room again."""

import asyncio
import http.client
import os
import subprocess

import pytest
from chat import Chat
from conftest import Service, wait_until
from sip import Agent, Udp


def registers(name, service):
    phone = Agent(name, Udp(service))
    try:
        return phone.register().word
    finally:
        phone.close()


def is_ready(service):
    asked = http.client.HTTPConnection("127.0.0.1", service.ports["operations.listen"], timeout=10)
    asked.request("GET", "/readyz")
    return asked.getresponse().status == 200


def test_lines_that_nobody_can_write_stop_nothing(tmp_path):
    # Whatever is written there finds no room.
    os.symlink("/dev/full", tmp_path / "log")
    service = Service(tmp_path, CUSAX_TELEMETRY__LEVEL="debug").start()

    async def talk():
        alice, bob = await Chat("alice", service).connect(), await Chat("bob", service).connect()
        alice.send_message("bob@localhost", "hello", mtype="chat")
        await bob.got(lambda message: message["body"] == "hello", "hello")
        await alice.close()
        await bob.close()

    try:
        service.add("alice", "bob")
        asyncio.run(talk())
        assert registers("alice", service) == "200"
    finally:
        service.stop()


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a disk of one's own wants root: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_refuses_and_heals(small_disk):
    service = Service(small_disk).start()

    async def talk():
        alice, bob = await Chat("alice", service).connect(), await Chat("bob", service).connect()
        with open(small_disk / "fill", "wb", buffering=0) as fill:
            with pytest.raises(OSError):
                while True:
                    fill.write(b"x" * 4096)
        sent = [f"{number} {'y' * 3000}" for number in range(60)]
        for body in sent:
            alice.send_message("bob@localhost", body, mtype="chat")
        # Each arrives, or comes back: nothing is lost in silence.
        await alice.got(lambda _: len(alice.messages) + len(bob.messages) >= len(sent), "sixty answers", 20)
        assert any(message["type"] == "error" for message in alice.messages), "the disk was not full"
        assert await asyncio.to_thread(registers, "alice", service) == "503"
        assert await asyncio.to_thread(is_ready, service) is False
        os.unlink(small_disk / "fill")
        alice.send_message("bob@localhost", "after", mtype="chat")
        await bob.got(lambda message: message["body"] == "after", "after")
        assert await asyncio.to_thread(registers, "alice", service) == "200"
        # What was found out is the answer for a moment.
        await asyncio.to_thread(wait_until, lambda: is_ready(service), what="readiness")
        await alice.close()
        await bob.close()

    try:
        service.add("alice", "bob")
        asyncio.run(talk())
        assert service.process.poll() is None
    finally:
        service.stop()
