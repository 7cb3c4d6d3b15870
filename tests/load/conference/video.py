"""Pictures of one leg, forwarded to all others of a conference: Mbit/s of RTP that one core forwards, and memory of a leg.

    cargo build --release -p cusax && cargo build --release -p conference --example viewers
    tests/.venv/bin/python tests/load/conference/video.py [--legs 10 50] [--seconds 15] [--kbits 1500]

Legs are plain RTP, called over SIP by one account; the first sends packets that look like VP8 (`conference/examples/viewers.rs`). CPU is
user and system time of all threads of the server, less what the same legs cost without pictures (they are mixed in silence). KiB a leg is
what resident memory grew by when legs came, with pictures and without: the difference is what pictures cost. Prints, fails nothing.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
import time

from run import ROOM, ROOT, Ours, cpu, memory

VIEWERS = os.environ.get("VIEWERS", str(ROOT / "target/release/examples/viewers"))


class Pictures(Ours):
    """`cusax serve`, whose legs have pictures beside a sound that never comes."""

    def __init__(self, folder):
        os.environ |= {"CUSAX_CONFERENCE__SILENCE_TIMEOUT": "1h", "CUSAX_CONFERENCE__LEGS": "1000"}
        super().__init__(folder)

    def join(self, port, pictures=True):
        import sip

        agent = sip.Agent("alice", sip.Udp(self.service))
        body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
        if pictures:
            body += f"m=video {port} RTP/AVPF 96\r\na=rtpmap:96 VP8/90000\r\na=rtcp-mux\r\n"
        headers = [f"From: <{agent.aor}>;tag=x", f"To: <sip:{ROOM}>", f"Call-ID: load-{port}-{pictures}-{os.getpid()}"]
        answer = agent.ask("INVITE", f"sip:{ROOM}", headers, body)
        assert answer.word == "200", answer.start
        ack = [headers[0], f"To: {answer['To']}", headers[2], *sip.routes(answer, True)]
        agent.send("ACK", sip.contact(answer), ack, cseq=agent.cseq)
        self.agents[agent.carrier.socket] = agent, body
        found = re.search(r"m=video ([0-9]+)", answer.body)
        return f"127.0.0.1:{found.group(1)} 96" if found else None


def of_sound(legs, seconds):
    """CPU seconds and KiB a leg of legs without pictures."""
    with tempfile.TemporaryDirectory() as folder:
        running = Pictures(folder)
        try:
            pid = running.process.pid
            before = memory(pid)
            for port in range(1, legs + 1):
                running.join(port, pictures=False)
            time.sleep(2)
            grown, spent = memory(pid) - before, cpu(pid)
            time.sleep(seconds)
            return cpu(pid) - spent, grown * 1024 / legs
        finally:
            running.stop()


def of_pictures(legs, seconds, kbits):
    """CPU seconds, KiB a leg, and what the generator tells."""
    with tempfile.TemporaryDirectory() as folder:
        running = Pictures(folder)
        try:
            pid = running.process.pid
            before = memory(pid)
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            viewers = subprocess.Popen([VIEWERS, str(legs), str(seconds), str(kbits)], **pipes)
            ports = json.loads(viewers.stdout.readline())["ports"]
            viewers.stdin.write("".join(running.join(port) + "\n" for port in ports))
            viewers.stdin.close()
            assert viewers.stdout.readline().strip() == "measuring"
            spent = cpu(pid)
            told = json.loads(viewers.stdout.readline())
            spent, grown = cpu(pid) - spent, memory(pid) - before
            viewers.wait(timeout=15)
            return spent, grown * 1024 / legs, told
        finally:
            running.stop()


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--legs", type=int, nargs="+", default=[10, 50])
    words.add_argument("--seconds", type=int, default=15)
    words.add_argument("--kbits", type=int, default=1500)
    given = words.parse_args()
    print(f"{'legs':>6}{'Mbit/s':>10}{'cores':>8}{'Mbit/s a core':>15}{'missing':>9}{'of':>9}{'KiB a leg':>11}{'without':>9}", flush=True)
    for legs in given.legs:
        silent, without = of_sound(legs, given.seconds)
        spent, with_pictures, told = of_pictures(legs, given.seconds, given.kbits)
        forwarded = told["octets"] * 8 / given.seconds / 1e6
        cores = max(spent - silent, 1e-9) / given.seconds
        due = told["sent"] * (legs - 1)
        print(
            f"{legs:6}{forwarded:10.1f}{cores:8.3f}{forwarded / cores:15.0f}{max(0, due - told['received']):9}{due:9}"
            f"{with_pictures:11.0f}{without:9.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
