"""CPU microseconds of a server for each REGISTER pair and each call, beside Kamailio and a forwarder that looks at nothing.

    python3 tests/load/sip/run.py [--units 3000] [--rate 500]

sipp is both ends, on loopback UDP. CPU is user and system time of all processes of the server (/proc/PID/stat), from the first
message to the last. Kamailio keeps its bindings in memory alone; ours are on disk when they are acknowledged. Prints, fails nothing.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BINARY = os.environ.get("CUSAX_BINARY", str(ROOT / "target/release/cusax"))
PASSWORD = "correct-horse-battery"
USERS = 50
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def family(pid):
    """A process and all that it forked."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [each for child in children for each in family(int(child))]


def cpu(pid):
    ticks = 0
    for each in family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


class Ours:
    name = "cusax"

    def __init__(self, folder):
        self.environment = {
            **os.environ,
            "CUSAX_DOMAIN": "localhost",
            "CUSAX_DATA_DIR": str(folder / "data"),
            "CUSAX_SIP__UDP": "127.0.0.1:0",
            "CUSAX_SIP__TCP": "[]",
            "CUSAX_SIP__TLS": "[]",
            "CUSAX_XMPP__C2S": "[]",
            "CUSAX_XMPP__C2S_TLS": "[]",
            "CUSAX_XMPP__S2S": "[]",
            "CUSAX_HTTP__HTTPS": "[]",
            "CUSAX_OPERATIONS__LISTEN": "127.0.0.1:0",
            "CUSAX_TELEMETRY__LEVEL": os.environ.get("CUSAX_TELEMETRY__LEVEL", "info"),
        }
        self.log = open(folder / "cusax.log", "wb")
        self.process = subprocess.Popen(
            [BINARY, "serve", "--json", "--run", "sip"], env=self.environment, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        while True:
            told = json.loads(self.process.stdout.readline())
            if told["listener"] == "sip.udp":
                self.port = int(told["address"].rsplit(":", 1)[1])
            if told["listener"] == "operations.listen":
                break
        for name in users():
            command = [BINARY, "user", "add", f"{name}@localhost", "--password-stdin"]
            subprocess.run(command, env=self.environment, input=PASSWORD + "\n", text=True, check=True, capture_output=True)


class Kamailio:
    name = "kamailio"

    def __init__(self, folder):
        self.port = free_port()
        text = (HERE / "kamailio.cfg").read_text()
        text = text.replace("LISTEN", f"127.0.0.1:{self.port}").replace("PASSWORD", PASSWORD)
        (folder / "kamailio.cfg").write_text(text)
        self.log = open(folder / "kamailio.log", "wb")
        command = ["kamailio", "-f", str(folder / "kamailio.cfg"), "-DD", "-E", "-m", "512", "-M", "16", "-Y", str(folder)]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, start_new_session=True)
        wait_for_answer(self.port)


class Forwarder:
    name = "forwarder"

    def __init__(self, folder, callee_port):
        subprocess.run(["cc", "-O2", "-o", str(folder / "forwarder"), str(HERE / "forwarder.c")], check=True)
        self.port = free_port()
        self.process = subprocess.Popen([str(folder / "forwarder"), str(self.port), str(callee_port)])


def stop(server):
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(timeout=15)


def wait_for_answer(port):
    message = (
        f"OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bKprobe\r\nFrom: <sip:a@b>;tag=1\r\n"
        f"To: <sip:127.0.0.1:{port}>\r\nCall-ID: probe\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 5\r\nContent-Length: 0\r\n\r\n"
    ).encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(0.2)
        for _ in range(50):
            one.sendto(message, ("127.0.0.1", port))
            try:
                return one.recv(4096)
            except OSError:
                time.sleep(0.05)
    sys.exit("a server did not answer")


def users():
    return ["alice", "bob"] + [f"user{n}" for n in range(USERS)]


def sipp(folder, port, scenario, local_port, units, rate, *more):
    words = ["sipp", f"127.0.0.1:{port}", "-i", "127.0.0.1", "-p", str(local_port), "-nostdin", "-l", "4000"]
    words += ["-sf", str(HERE / scenario)] + (["-m", str(units), "-r", str(rate)] if units else [])
    return subprocess.Popen([*words, *more], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure(server, run, units):
    # What started the server or the round before is not this round's.
    time.sleep(0.5)
    before = cpu(server.process.pid)
    code = run()
    time.sleep(0.5)
    spent = cpu(server.process.pid) - before
    failed = "" if code == 0 else f"  (sipp ended with {code}: some failed)"
    return spent / units * 1e6, failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=3000)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--only", choices=["cusax", "kamailio"])
    given = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bobs_port = free_port()
        (folder / "users.csv").write_text(
            "SEQUENTIAL\n"
            + "".join(f"{user};[authentication username={user} password={PASSWORD}];{free_port()}\n" for user in users()[2:])
        )
        (folder / "bob.csv").write_text(f"SEQUENTIAL\nbob;[authentication username=bob password={PASSWORD}];{bobs_port}\n")
        proof = ["-au", "alice", "-ap", PASSWORD]
        answering = sipp(folder, 9, "answer.xml", bobs_port, 0, 0)
        try:
            for kind in (Ours, Kamailio):
                if given.only and kind.name != given.only:
                    continue
                server = kind(folder)
                try:
                    def register(users, units):
                        return sipp(folder, server.port, "register.xml", free_port(), units, given.rate, "-inf", users).wait()

                    assert register("bob.csv", 1) == 0, f"{kind.name}: bob could not register"
                    rounds = {
                        "REGISTER pair": lambda: register("users.csv", given.units),
                        "call": lambda: sipp(folder, server.port, "call.xml", free_port(), given.units, given.rate).wait(),
                        "call with proof": lambda: sipp(
                            folder, server.port, "call_with_proof.xml", free_port(), given.units, given.rate, *proof
                        ).wait(),
                    }
                    for what, run in rounds.items():
                        figures[kind.name, what] = measure(server, run, given.units)
                finally:
                    stop(server)
            server = Forwarder(folder, bobs_port)
            try:
                figures["forwarder", "call"] = measure(
                    server, lambda: sipp(folder, server.port, "call.xml", free_port(), given.units, given.rate).wait(), given.units
                )
            finally:
                stop(server)
        finally:
            answering.terminate()
            answering.wait(timeout=15)
    for what in ("REGISTER pair", "call", "call with proof"):
        said = [f"{who} {figures[who, what][0]:.0f} µs{figures[who, what][1]}" for who in ("cusax", "kamailio", "forwarder") if (who, what) in figures]
        if ("cusax", what) in figures and ("kamailio", what) in figures:
            said.append(f"ratio {figures['cusax', what][0] / figures['kamailio', what][0]:.2f}")
        if ("cusax", what) in figures and ("forwarder", what) in figures:
            said.append(f"{figures['cusax', what][0] / figures['forwarder', what][0]:.1f} times the floor")
        print(f"{what:16} {'  '.join(said)}")


if __name__ == "__main__":
    main()
