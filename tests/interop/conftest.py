"""A service of our own on free ports, for foreign clients: started, given accounts, stopped by its process id."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("CUSAX_BINARY", str(ROOT / "target/release/cusax"))
DOMAIN = "localhost"
ROOMS = f"conference.{DOMAIN}"
PASSWORD = "correct-horse-battery"


class Service:
    """One running `cusax serve`, and the commands beside it."""

    address = "127.0.0.1"

    def __init__(self, folder, domain=DOMAIN, config="", **environment):
        self.folder = Path(folder)
        self.command = [BINARY]
        if config:
            (self.folder / "cusax.toml").write_text(config)
            self.command += ["--config", str(self.folder / "cusax.toml")]
        self.domain = domain
        self.ca = self.folder / "data/tls/ca.pem"
        self.environment = {
            **os.environ,
            "CUSAX_DOMAIN": domain,
            "CUSAX_DATA_DIR": str(self.folder / "data"),
            "CUSAX_SIP__UDP": "127.0.0.1:0",
            "CUSAX_SIP__TCP": "127.0.0.1:0",
            "CUSAX_SIP__TLS": "127.0.0.1:0",
            "CUSAX_XMPP__C2S": "127.0.0.1:0",
            "CUSAX_XMPP__C2S_TLS": "127.0.0.1:0",
            "CUSAX_XMPP__S2S": "127.0.0.1:0",
            "CUSAX_HTTP__HTTPS": "127.0.0.1:0",
            "CUSAX_OPERATIONS__LISTEN": "127.0.0.1:0",
            "CUSAX_CONFERENCE__MEDIA": "127.0.0.1:0",
            **environment,
        }
        self.process = None
        self.ports = {}

    def start(self):
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [*self.command, "serve", "--json"], env=self.environment, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        self.ports = {}
        while "operations.listen" not in self.ports:
            line = self.process.stdout.readline()
            assert line, f"cusax did not start: {(self.folder / 'log').read_text()}"
            told = json.loads(line)
            self.ports[told["listener"]] = int(told["address"].rsplit(":", 1)[1])
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=15)
        self.log.close()

    def run(self, *words, given=""):
        done = subprocess.run([*self.command, *words], env=self.environment, input=given, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def add(self, *names, options=()):
        for name in names:
            self.run("user", "add", f"{name}@{self.domain}", "--password-stdin", *options, given=PASSWORD + "\n")

    def metrics(self):
        url = f"http://127.0.0.1:{self.ports['operations.listen']}/metrics"
        return urllib.request.urlopen(url, timeout=5).read().decode()


@pytest.fixture
def service(tmp_path):
    running = Service(tmp_path).start()
    yield running
    running.stop()


def wait_until(holds, seconds=10.0, what="it"):
    """Asks again until it holds; a test that waits for nothing fails with what it waited for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen in {seconds} s")


def free_port(kind=socket.SOCK_DGRAM, address="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as one:
        one.bind((address, 0))
        return one.getsockname()[1]
