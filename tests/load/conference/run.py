"""A conference of 10, 50 and 200 legs with three talkers: CPU, latency, late ticks and memory, beside Janus AudioBridge in the same run.

    cargo build --release -p cusax && cargo build --release -p conference --example speakers
    tests/.venv/bin/python tests/load/conference/run.py [--legs 10 50 200] [--seconds 20] [--only cusax|janus] [--levels]

Participants are plain RTP with Opus, encoded beforehand (`conference/examples/speakers.rs`). CPU is user and system time of all
threads of the server while it is measured; CPU-ms a participant-second is that, by legs and seconds. Janus is Debian's package,
its room 48 kHz, otherwise as shipped. Prints, fails nothing.

`missing` is what RTP timestamps say was to be heard and was not (of about so many); `machine` is how often an idle thread of the same machine woke
up more than 5 ms late meanwhile, beside which `late ticks` has to be read. `KiB/leg` is what memory grew by while legs joined, codecs and all:
`cargo bench -p conference --bench codec` prints what a codec's state is of that.

`floor` is the CPU-ms a second that codecs would cost at least, measured at the end of the same run with the service's codec library
(`speakers.rs` says how it is added up): decodes, and encodes of what is heard differently. `of floor` is the server's CPU by that, whose aim
is 1.5. Who sends no levels has to be decoded to know how loud they are; with `--levels` there is a row more of ours whose legs say how
loud they are (RFC 6464), and whose floor is decodes of who talks alone.

Opus in Rust beside Opus in C: `cargo bench -p conference --bench codec`, and again with `--features c-opus`.
"""

import argparse
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BINARY = os.environ.get("CUSAX_BINARY", str(ROOT / "target/release/cusax"))
SPEAKERS = os.environ.get("SPEAKERS", str(ROOT / "target/release/examples/speakers"))
TICK = os.sysconf("SC_CLK_TCK")
ROOM = "lounge@conference.localhost"
TALKERS = 3


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(pid):
    """MiB that are resident."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


class Ours:
    """`cusax serve`, called over SIP by one account that has a leg for each port."""

    name = "cusax"
    levels = False

    def __init__(self, folder):
        sys.path.insert(0, str(ROOT / "tests/interop"))
        os.environ["CUSAX_BINARY"] = BINARY
        import conftest

        self.service = conftest.Service(folder, CUSAX_CONFERENCE__PROMPTS="false", CUSAX_TELEMETRY__LEVEL="warn")
        self.service.start()
        self.service.add("alice")
        self.service.run("room", "add", ROOM, "--owner", "alice@localhost")
        self.process = self.service.process
        self.agents = {}
        self.over = threading.Event()
        self.refreshed = threading.Thread(target=self.refresh)
        self.refreshed.start()

    def join(self, port):
        import sip

        agent = sip.Agent("alice", sip.Udp(self.service))
        body = (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\n"
        )
        if self.levels:
            body += "a=extmap:1 urn:ietf:params:xml:ns:ssrc-audio-level\r\n"
        headers = [f"From: <{agent.aor}>;tag=x", f"To: <sip:{ROOM}>", f"Call-ID: load-{port}-{os.getpid()}"]
        answer = agent.ask("INVITE", f"sip:{ROOM}", headers, body)
        assert answer.word == "200", answer.start
        route = sip.routes(answer, True)
        ack = [headers[0], f"To: {answer['To']}", headers[2], *route]
        agent.send("ACK", sip.contact(answer), ack, cseq=agent.cseq)
        self.agents[agent.carrier.socket] = agent, body
        return f"127.0.0.1:{re.search(r'm=audio ([0-9]+)', answer.body).group(1)} 111"

    def late(self):
        for line in self.service.metrics().splitlines():
            if line.startswith("conference_ticks_late_total"):
                return int(float(line.split()[1]))
        return None

    def refresh(self):
        """Answers what the focus asks of its legs while they are there: it refreshes their sessions (RFC 4028) after a quarter of an hour."""
        while not self.over.wait(0.1):
            for socket in select.select(list(self.agents), [], [], 0)[0]:
                agent, body = self.agents[socket]
                try:
                    asked = agent.receive()
                except UnicodeDecodeError:
                    continue  # RTCP of the leg whose port is the one before
                if asked.is_request and asked.word != "ACK":
                    agent.respond(asked, "200 OK", body if asked.word in ("INVITE", "UPDATE") else "")

    def stop(self):
        self.over.set()
        self.refreshed.join()
        for agent, _ in self.agents.values():
            agent.close()
        self.service.stop()


class OursByLevels(Ours):
    """The same, whose legs say how loud they are."""

    name = "levels"
    levels = True


class Janus:
    """Janus with AudioBridge alone, over its HTTP interface."""

    name = "janus"
    levels = False

    def __init__(self, folder):
        with __import__("socket").socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = Path(folder) / "janus"
        settings.mkdir()
        library = "/usr/lib/x86_64-linux-gnu/janus"
        (settings / "janus.jcfg").write_text(
            f"general: {{ configs_folder = \"{settings}\" plugins_folder = \"{library}/plugins\"\n"
            f"transports_folder = \"{library}/transports\" debug_level = 2 }}\n"
            "plugins: { disable = \"libjanus_videoroom.so,libjanus_sip.so,libjanus_nosip.so,libjanus_streaming.so,"
            "libjanus_recordplay.so,libjanus_textroom.so,libjanus_videocall.so,libjanus_voicemail.so,libjanus_echotest.so,"
            "libjanus_duktape.so,libjanus_lua.so\" }\n"
            "transports: { disable = \"libjanus_websockets.so,libjanus_pfunix.so,libjanus_rabbitmq.so,libjanus_mqtt.so,"
            "libjanus_nanomsg.so\" }\n"
        )
        (settings / "janus.transport.http.jcfg").write_text(
            f"general: {{ base_path = \"/janus\" http = true port = {port} ip = \"127.0.0.1\" https = false }}\n"
        )
        (settings / "janus.plugin.audiobridge.jcfg").write_text("general: { local_ip = \"127.0.0.1\" }\n")
        self.base = f"http://127.0.0.1:{port}/janus"
        self.log = open(Path(folder) / "janus.log", "wb")
        self.process = subprocess.Popen(["janus", "-F", str(settings), "-L", "/dev/null"], stdout=self.log, stderr=self.log)
        end = time.monotonic() + 15
        while True:
            try:
                self.session = f"{self.base}/{self.say(self.base, janus='create')['data']['id']}"
                break
            except OSError:
                assert time.monotonic() < end, (Path(folder) / "janus.log").read_text()
                time.sleep(0.1)
        room = {"request": "create", "room": 1, "sampling_rate": 48000, "allow_rtp_participants": True, "permanent": False}
        self.message(self.attach(), room)

    def say(self, url, **body):
        data = json.dumps({**body, "transaction": "t"}).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=10))

    def attach(self):
        plugin = "janus.plugin.audiobridge"
        return f"{self.session}/{self.say(self.session, janus='attach', plugin=plugin)['data']['id']}"

    def message(self, handle, body):
        return self.say(handle, janus="message", body=body)

    def join(self, port):
        handle = self.attach()
        rtp = {"ip": "127.0.0.1", "port": port, "payload_type": 111}
        self.message(handle, {"request": "join", "room": 1, "display": str(port), "rtp": rtp})
        while True:
            event = json.load(urllib.request.urlopen(f"{self.session}?maxev=1", timeout=30))
            events = event if isinstance(event, list) else [event]
            for each in events:
                data = each.get("plugindata", {}).get("data", {})
                if data.get("audiobridge") == "joined" and "rtp" in data:
                    return f"127.0.0.1:{data['rtp']['port']} {data['rtp'].get('payload_type', 111)}"
                assert "error" not in data, data

    def late(self):
        return None

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=15)
        self.log.close()


def measure(server, legs, seconds):
    with tempfile.TemporaryDirectory() as folder:
        running = server(folder)
        try:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            speakers = subprocess.Popen([SPEAKERS, str(legs), str(TALKERS), str(seconds), *(["levels"] if server.levels else [])], **pipes)
            ports = json.loads(speakers.stdout.readline())["ports"]
            empty = memory(running.process.pid)
            speakers.stdin.write("".join(running.join(port) + "\n" for port in ports))
            speakers.stdin.close()
            assert speakers.stdout.readline().strip() == "measuring"
            before, late, resident = cpu(running.process.pid), running.late(), memory(running.process.pid)
            told = json.loads(speakers.stdout.readline())
            spent = cpu(running.process.pid) - before
            speakers.wait(timeout=15)
            late = None if late is None else running.late() - late
            return spent, told, late, (empty, resident, memory(running.process.pid))
        finally:
            running.stop()


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--legs", type=int, nargs="+", default=[10, 50, 200])
    words.add_argument("--seconds", type=int, default=20)
    words.add_argument("--only", choices=["cusax", "janus"])
    words.add_argument("--levels", action="store_true")
    given = words.parse_args()
    servers = [server for server in (Ours, Janus) if given.only in (None, server.name)]
    if given.levels and Ours in servers:
        servers.insert(0, OursByLevels)
    head = f"{'server':8}{'legs':>6}{'CPU-ms/part.-s':>16}{'cores':>8}{'p50 ms':>9}{'p99 ms':>9}{'missing':>9}{'of':>9}{'late ticks':>12}{'machine':>9}{'MiB':>12}{'KiB/leg':>9}{'floor':>8}{'of floor':>10}"
    print(head, flush=True)
    for legs in given.legs:
        for server in servers:
            spent, told, late, (empty, begin, end) = measure(server, legs, given.seconds)
            each = spent * 1000 / legs / given.seconds
            print(
                f"{server.name:8}{legs:6}{each:16.2f}{spent / given.seconds:8.2f}{told['p50']:9.1f}{told['p99']:9.1f}"
                f"{told['missing']:9}{legs * given.seconds * 50:9}{'-' if late is None else late:>12}{told['late']:9}"
                f"{f'{begin:.0f}-{end:.0f}':>12}{(begin - empty) * 1024 / legs:9.0f}"
                f"{told['floor']:8.1f}{spent * 1000 / given.seconds / told['floor']:10.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
