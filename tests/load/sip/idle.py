"""Resident memory of a SIP connection that is idle: by TCP, and by TLS, which has the library's own beside it.

    python3 tests/load/sip/idle.py [--connections 5000]

Each connection asks OPTIONS once, and says no more. Memory is VmRSS of the server before the first and a few seconds after the last. What
a connection by TLS takes beyond one by TCP is the TLS library's: its keys and buffers. Prints, fails nothing.
"""

import argparse
import json
import os
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from run import BINARY, stop  # noqa: E402


class Server:
    def __init__(self, folder, connections):
        environment = {
            **os.environ,
            "CUSAX_DOMAIN": "localhost",
            "CUSAX_DATA_DIR": str(folder / "data"),
            "CUSAX_SIP__UDP": "[]",
            "CUSAX_SIP__TCP": "127.0.0.1:0",
            "CUSAX_SIP__TLS": "127.0.0.1:0",
            "CUSAX_SIP__LIMITS__CONNECTIONS": str(4 * connections),
            "CUSAX_SIP__LIMITS__CONNECTIONS_PER_NETWORK": str(4 * connections),
            "CUSAX_XMPP__C2S": "[]",
            "CUSAX_XMPP__C2S_TLS": "[]",
            "CUSAX_XMPP__S2S": "[]",
            "CUSAX_HTTP__HTTPS": "[]",
            "CUSAX_OPERATIONS__LISTEN": "127.0.0.1:0",
        }
        self.log = open(folder / "cusax.log", "wb")
        self.process = subprocess.Popen(
            [BINARY, "serve", "--json", "--run", "sip"], env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        self.ports = {}
        while "operations.listen" not in self.ports:
            told = json.loads(self.process.stdout.readline())
            self.ports[told["listener"]] = int(told["address"].rsplit(":", 1)[1])

    def resident(self):
        """KiB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def opened(port, context, number):
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    if context:
        connection = context.wrap_socket(connection, server_hostname="localhost")
    transport = "TLS" if context else "TCP"
    connection.sendall(
        f"OPTIONS sip:localhost SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:9;branch=z9hG4bK{transport}{number}\r\n"
        f"From: <sip:idle@elsewhere.example>;tag={number}\r\nTo: <sip:localhost>\r\nCall-ID: {transport}{number}\r\nCSeq: 1 OPTIONS\r\n"
        "Max-Forwards: 5\r\nContent-Length: 0\r\n\r\n".encode()
    )
    answer = connection.recv(4096)
    assert answer.startswith(b"SIP/2.0 "), answer
    return connection


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=5000)
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, listener, context in (("TCP", "sip.tcp", None), ("TLS", "sip.tls", context)):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(Path(folder), given.connections)
            try:
                # What the first of them make for all is not theirs.
                held = [opened(server.ports[listener], context, -number) for number in range(1, 200)]
                time.sleep(2)
                before = server.resident()
                held += [opened(server.ports[listener], context, number) for number in range(given.connections)]
                # Transactions are over after half a minute (Timer J).
                time.sleep(40)
                print(f"{name}: {(server.resident() - before) / given.connections:.1f} KiB a connection", flush=True)
            finally:
                stop(server)
            del held


if __name__ == "__main__":
    main()
