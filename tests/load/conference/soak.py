"""Half an hour of a conference of 100 legs with three talkers: whether anything drifts, leaks or comes late. Run by hand.

    cargo build --release -p cusax && cargo build --release -p conference --example speakers
    tests/.venv/bin/python tests/load/conference/soak.py [--legs 100] [--minutes 30]

Prints a line a minute: resident memory, open files and threads of the server, its CPU, and ticks of the mixer that came late. At the end
come latency, packets that are missing, and how often the machine woke an idle thread more than 5 ms late. Ends with 1 if memory grew by more than 5 % after the first sixth of the time, files or threads
grew at all, more than one tick of a thousand and twice as many as those came late, or more than one packet of ten thousand is missing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from run import SPEAKERS, TALKERS, Ours, cpu, memory

TICKS_A_MINUTE = 3_000


def state(running):
    pid = running.process.pid
    files, threads = (len(list(Path(f"/proc/{pid}/{of}").iterdir())) for of in ("fd", "task"))
    return {"MiB": memory(pid), "files": files, "threads": threads, "cpu": cpu(pid), "late": running.late()}


def soak(legs, minutes):
    with tempfile.TemporaryDirectory() as folder:
        running = Ours(folder)
        try:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            seconds = round(minutes * 60)
            speakers = subprocess.Popen([SPEAKERS, str(legs), str(TALKERS), str(seconds)], **pipes)
            ports = json.loads(speakers.stdout.readline())["ports"]
            speakers.stdin.write("".join(running.join(port) + "\n" for port in ports))
            speakers.stdin.close()
            assert speakers.stdout.readline().strip() == "measuring"
            begin, states = time.monotonic(), [state(running)]
            print(f"{'minute':>7}{'MiB':>8}{'files':>7}{'threads':>9}{'cores':>7}{'late ticks':>12}", flush=True)
            while (left := seconds - (time.monotonic() - begin)) > 1:
                time.sleep(min(60, left))
                now, before = state(running), states[-1]
                states.append(now)
                passed = time.monotonic() - begin
                cores = (now["cpu"] - before["cpu"]) / min(60, max(1, passed - 60 * (len(states) - 2)))
                late = now["late"] - before["late"]
                print(f"{passed / 60:7.1f}{now['MiB']:8.1f}{now['files']:7}{now['threads']:9}{cores:7.2f}{late:12}", flush=True)
            told = json.loads(speakers.stdout.readline())
            speakers.wait(timeout=60)
            return states, told, legs * seconds * 50
        finally:
            running.stop()


def faults(states, told, expected, minutes):
    settled, last = states[min(len(states) - 1, max(1, len(states) // 6))], states[-1]
    if last["MiB"] > settled["MiB"] * 1.05:
        yield f"memory grew from {settled['MiB']:.1f} to {last['MiB']:.1f} MiB"
    for name in ("files", "threads"):
        # A thread that the runtime lends for a moment is no growth: it is gone in one of the last states.
        if (least := min(state[name] for state in states[-3:])) > settled[name]:
            yield f"{name} grew from {settled[name]} to {least}"
    # A machine that wakes an idle thread too late wakes the mixer too late: its own lateness is no fault of the mixer's.
    if (late := last["late"] - states[0]["late"]) > max(TICKS_A_MINUTE * minutes / 1_000, 2 * told["late"]):
        yield f"{late} ticks came late, and {told['late']} of an idle thread"
    if (missing := told["missing"]) > expected / 10_000:
        yield f"{missing} of {expected} packets are missing"


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--legs", type=int, default=100)
    words.add_argument("--minutes", type=float, default=30)
    given = words.parse_args()
    states, told, expected = soak(given.legs, given.minutes)
    print(f"latency p50 {told['p50']:.1f} ms, p99 {told['p99']:.1f} ms; {told['missing']} of {expected} packets missing; an idle thread was late {told['late']} times")
    found = list(faults(states, told, expected, given.minutes))
    print("\n".join(found) or "nothing drifted, leaked or came late")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
