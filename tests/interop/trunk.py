"""Kamailio, run and not imitated: a carrier with one customer and one telephone behind it, or a domain of its own."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from conftest import free_port, wait_until

CONFIGS = Path(__file__).parent / "kamailio"
USER, SECRET = "customer", "between-us"


class Carrier:
    """One Kamailio."""

    config = "trunk.cfg"
    realm = "carrier.example"

    def __init__(self, folder, name="carrier", **more):
        self.folder = Path(folder) / name
        self.folder.mkdir()
        self.port, self.phone_port = free_port(), free_port()
        words = {"PORT": self.port, "PHONE": self.phone_port, "REALM": self.realm, "USER": USER, "PASSWORD": SECRET, **more}
        text = (CONFIGS / self.config).read_text()
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        (self.folder / self.config).write_text(text)
        self.secret = self.folder / "secret"
        self.secret.write_text(SECRET + "\n")
        self.process = None

    def start(self):
        self.log = open(self.folder / "log", "ab")
        kamailio = shutil.which("kamailio", path=os.environ["PATH"] + ":/usr/sbin")
        words = [kamailio, "-f", str(self.folder / self.config), "-DD", "-E", "-m", "32", "-M", "4"]
        words += ["-Y", str(self.folder), "-w", str(self.folder), "-P", str(self.folder / "pid")]
        # Its children are of its group: they end with it, and nobody else does.
        self.process = subprocess.Popen(words, stdout=self.log, stderr=self.log, start_new_session=True)
        wait_until(self.answers, 15, "the carrier answers")
        return self

    def answers(self):
        assert self.process.poll() is None, self.says()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            probe.settimeout(0.5)
            port = probe.getsockname()[1]
            probe.sendto(
                f"OPTIONS sip:127.0.0.1:{self.port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKp\r\n"
                f"Max-Forwards: 9\r\nFrom: <sip:p@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: p\r\n"
                "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n".encode(),
                ("127.0.0.1", self.port),
            )
            try:
                return probe.recv(4096).startswith(b"SIP/2.0 200")
            except (TimeoutError, ConnectionError):
                return False

    def says(self):
        return (self.folder / "log").read_text(errors="replace")

    def stop(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=15)
        self.log.close()

    def as_trunk(self, **keys):
        """The trunk as `[[sip.trunks]]` has it, in one line."""
        keys = {"name": "carrier", "server": f"sip:127.0.0.1:{self.port}", "user": USER, "password_file": self.secret, **keys}
        return as_table(keys)


class Domain(Carrier):
    """A domain of its own, whose telephones register with it."""

    config = "domain.cfg"
    realm = "far.test"

    @property
    def ports(self):
        return {"sip.udp": self.port}


def as_table(keys):
    written = {True: "true", False: "false"}
    values = (f"{key} = {written.get(value) if isinstance(value, bool) else value if isinstance(value, int) else repr(str(value))}" for key, value in keys.items())
    return "{ " + ", ".join(values) + " }"
