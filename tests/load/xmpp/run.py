"""CPU microseconds of a chat server for a login, a message and a delivery in a room, and memory of idle sessions, beside Prosody and ejabberd,
and beside the floor: a forwarder with the same streams that proves, parses and keeps nothing.

    python3 tests/load/xmpp/run.py [--only cusax] [--plain] [--archive] [--idle 2000] [--occupants 100]

All servers are on loopback with the same certificate; `load.rs` is the other end of each. CPU is user and system time of all
processes of the server (/proc/PID/stat). Ours keeps what it acknowledges on disk. Prints, fails nothing.
"""

import argparse
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent / "sip"))
from run import BINARY, PASSWORD, cpu, family  # noqa: E402

DOMAIN = "localhost"
ACCOUNTS = [f"user{number}" for number in range(100)]
# For how many seconds messages are sent as fast as a server can take them, and at half of that.
STEADY = 5


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """One server, with its accounts and the port for clients."""

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def start(self, words, environment, folder):
        self.log = open(folder / f"{self.name}.log", "wb")
        self.process = subprocess.Popen(
            words, cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True
        )
        end = time.monotonic() + 60
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < end, f"{self.name} did not start, see {self.log.name}"
            time.sleep(0.1)

    def stop(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def resident(self):
        """KiB of memory that are the server's alone or shared."""
        rows = [line for each in family(self.process.pid) for line in open(f"/proc/{each}/status") if line.startswith("VmRSS")]
        return sum(int(row.split()[1]) for row in rows)


class Ours(Server):
    name, needs = "cusax", None

    def __init__(self, folder, given):
        self.port = free_port()
        environment = {
            "CUSAX_DOMAIN": DOMAIN,
            "CUSAX_DATA_DIR": str(folder / "data"),
            "CUSAX_XMPP__C2S": f"127.0.0.1:{self.port}",
            "CUSAX_XMPP__C2S_TLS": "[]",
            "CUSAX_XMPP__S2S": "[]",
            "CUSAX_XMPP__RESOURCES": "1000",
            # The others have no shapers either.
            "CUSAX_XMPP__RATE": "0",
            "CUSAX_XMPP__STANZA_RATE": "0",
            "CUSAX_XMPP__ARCHIVE": "always" if given.archive else "never",
            "CUSAX_AUTH__ITERATIONS": "4096",
            "CUSAX_TLS__CERTIFICATE": str(folder / "certificate.pem"),
            "CUSAX_TLS__KEY": str(folder / "key.pem"),
            "CUSAX_HTTP__HTTPS": "[]",
            "CUSAX_OPERATIONS__LISTEN": "[]",
        }
        self.start([BINARY, "serve", "--run", "xmpp"], environment, folder)
        for name in ACCOUNTS:
            words = [BINARY, "user", "add", f"{name}@{DOMAIN}", "--password-stdin"]
            subprocess.run(words, env={**os.environ, **environment}, input=PASSWORD + "\n", text=True, check=True, capture_output=True)


class Prosody(Server):
    name, needs = "prosody", "prosody"

    def __init__(self, folder, given):
        self.port = free_port()
        accounts = folder / f"prosody/{DOMAIN}/accounts"
        accounts.mkdir(parents=True)
        for name in ACCOUNTS:
            (accounts / f"{name}.dat").write_text(f'return {{ ["password"] = "{PASSWORD}" }};\n')
        (folder / "prosody.cfg.lua").write_text(f"""
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/prosody"
log = {{ warn = "*console" }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "ping", "carbons", "blocklist", "pep"{', "mam"' if given.archive else ''} }}
modules_disabled = {{ "s2s" }}
c2s_interfaces, c2s_ports = {{ "127.0.0.1" }}, {{ {self.port} }}
c2s_require_encryption = {str(not given.plain).lower()}
authentication = "internal_hashed"
ssl = {{ certificate = "{folder}/certificate.pem", key = "{folder}/key.pem" }}
VirtualHost "{DOMAIN}"
Component "conference.{DOMAIN}" "muc"
""")
        self.start([shutil.which("prosody"), "-F", "--config", str(folder / "prosody.cfg.lua")], {}, folder)


class Ejabberd(Server):
    name, needs = "ejabberd", "ejabberdctl"

    def __init__(self, folder, given):
        self.port, self.http = free_port(), free_port()
        (folder / "both.pem").write_text((folder / "certificate.pem").read_text() + (folder / "key.pem").read_text())
        (folder / "ejabberd.yml").write_text(f"""
hosts: ["{DOMAIN}"]
loglevel: warning
certfiles: ["{folder}/both.pem"]
auth_method: [internal]
auth_password_format: scram
shaper: {{}}
listen:
  - {{port: {self.port}, ip: "127.0.0.1", module: ejabberd_c2s, starttls: true, starttls_required: {str(not given.plain).lower()}, max_stanza_size: 262144}}
  - {{port: {self.http}, ip: "127.0.0.1", module: ejabberd_http, request_handlers: {{/api: mod_http_api}}}}
api_permissions:
  all: {{from: [mod_http_api], who: all, what: "*"}}
shaper_rules: {{max_user_sessions: 100000}}
modules:
  mod_admin_extra: {{}}
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_disco: {{}}
  {'mod_mam: {default: always}' if given.archive else 'mod_ping: {}'}
  mod_muc: {{hosts: ["conference.{DOMAIN}"], access: all, access_create: all, max_users: 5000, min_message_interval: 0}}
  mod_privacy: {{}}
  mod_roster: {{}}
""")
        environment = {
            "ERL_LIBS": ":".join(str(path) for path in Path("/usr/lib").glob("*-linux-gnu")),
            "EJABBERD_CONFIG_PATH": str(folder / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(folder / "ejabberd.log"),
            "HOME": str(folder),
        }
        # A node without a name speaks with no other nodes, and needs no epmd.
        words = ["erl", "-noinput", "+K", "true", "-mnesia", "dir", f'"{folder}/mnesia"', "-s", "ejabberd"]
        self.start(words, environment, folder)
        for name in ACCOUNTS:
            body = json.dumps({"user": name, "host": DOMAIN, "password": PASSWORD}).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{self.http}/api/register", body, {"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=10)


class Floor(Server):
    name, needs = "floor", None

    def __init__(self, folder, given):
        self.port = free_port()
        security = "plain" if given.plain else "tls"
        self.start([given.load, f"127.0.0.1:{self.port}", DOMAIN, security, "forward", str(folder)], {}, folder)


def generator():
    """The program that loads, built."""
    words = ["cargo", "build", "--release", "-p", "xmpp-server", "--bench", "load", "--message-format=json"]
    built = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    programs = [json.loads(line).get("executable") for line in built.splitlines() if '"name":"load"' in line]
    return [program for program in programs if program][0]


def run(server, given, what, *numbers):
    """What the generator says of a round, the CPU of the server in it, and the memory that it has at its end."""
    security = "plain" if given.plain else "tls"
    words = [given.load, f"127.0.0.1:{server.port}", DOMAIN, security, what, *map(str, numbers)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lines = [process.stdout.readline()]
    if what == "idle":
        lines.append(process.stdout.readline())
        time.sleep(1)
        memory = server.resident()
        process.communicate("\n", timeout=60)
        return json.loads(lines[0]), 0, memory
    time.sleep(0.5)
    before = cpu(server.process.pid)
    told, _ = process.communicate("\n", timeout=600)
    time.sleep(0.3)
    return json.loads(told.splitlines()[-1]), cpu(server.process.pid) - before, server.resident()


def measure(server, given, label, what, *numbers):
    """Prints a round; how many units a second it had."""
    told, spent, _ = run(server, given, what, *numbers)
    each = spent / max(told["units"], 1) * 1e6
    rate = told["units"] / told["seconds"]
    way = f", p50 {told['p50']:.2f} ms, p99 {told['p99']:.2f} ms" if told["p99"] else ""
    print(f"{server.name:9} {label:28} {each:8.1f} µs each, {rate:.0f} a second{way}", flush=True)
    return rate


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=["cusax", "prosody", "ejabberd", "floor"])
    parser.add_argument("--plain", action="store_true", help="without TLS")
    parser.add_argument("--archive", action="store_true", help="every message is archived")
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--logins", type=int, default=300)
    parser.add_argument("--occupants", type=int, default=100)
    parser.add_argument("--idle", type=int, default=1000)
    given = parser.parse_args()
    given.load = generator()
    for kind in (Ours, Prosody, Ejabberd, Floor):
        if given.only and kind.name != given.only:
            continue
        if kind.needs and not shutil.which(kind.needs):
            print(f"{kind.name:9} is not here", flush=True)
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9"]
            words += ["-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN},DNS:conference.{DOMAIN}"]
            words += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
            subprocess.run(words, check=True, capture_output=True)
            server = kind(folder, given)
            try:
                measured = functools.partial(measure, server, given)
                measured("login", "login", given.logins)
                measured("message", "messages", given.messages, given.rate)
                short = measured("message, as many as go", "messages", 4 * given.messages, 0)
                # What it can take, and half of that, for some seconds each: a few thousand are over before it is steady.
                half = int(measured("message, for some seconds", "messages", int(STEADY * short), 0) / 2)
                measured("message, half of saturation", "messages", STEADY * half, half)
                if kind is not Floor:
                    measured("delivery in a room", "room", 100, given.occupants)
                before = server.resident()
                told, _, after = run(server, given, "idle", given.idle)
                print(f"{kind.name:9} {'idle':28} {(after - before) / told['units']:8.1f} KiB a session, {after} KiB in all", flush=True)
            finally:
                server.stop()


if __name__ == "__main__":
    main()
