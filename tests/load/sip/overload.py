"""Calls a second that are completed as more and more are begun: the peak, and what is left of it at twice the peak's rate.

    python3 tests/load/sip/overload.py [--brakes 3] [--only cusax] [--seconds 8]

The server has a processor that it shares with `--brakes` busy loops, so that it is at its end before sipp is, which has another
one to itself. A call is completed when sipp got 200 to its BYE. Prints, fails nothing.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from run import Kamailio, Ours, PASSWORD, free_port, sipp, stop  # noqa: E402


def completed(folder, server, rate, seconds):
    """Calls that were begun and that were completed a second, from the third second on, while calls are still begun."""
    stats = folder / f"stats-{free_port()}.csv"
    process = sipp(
        folder, server.port, "call.xml", free_port(), int(rate * seconds * 2), int(rate),
        "-trace_stat", "-fd", "1", "-stf", str(stats), "-recv_timeout", "8000", "-l", "100000",
    )  # fmt: skip
    os.sched_setaffinity(process.pid, {1})
    time.sleep(seconds + 3)
    process.kill()
    process.wait()
    with open(stats) as text:
        rows = [row for row in csv.DictReader(text, delimiter=";")][2:]
    first, last = rows[0], rows[-1]

    def at(row):
        hours, minutes, rest = row["ElapsedTime(C)"].split(":")[:3]
        return int(hours) * 3600 + int(minutes) * 60 + float(rest)

    took = at(last) - at(first)
    return tuple((int(last[what]) - int(first[what])) / took for what in ("TotalCallCreated", "SuccessfulCall(C)"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--brakes", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--only", choices=["cusax", "kamailio"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bobs_port = free_port()
        (folder / "bob.csv").write_text(f"SEQUENTIAL\nbob;[authentication username=bob password={PASSWORD}];{bobs_port}\n")
        answering = sipp(folder, 9, "answer.xml", bobs_port, 0, 0)
        os.sched_setaffinity(answering.pid, {1})
        brakes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(given.brakes)]
        for brake in brakes:
            os.sched_setaffinity(brake.pid, {0})
        try:
            for kind in (Ours, Kamailio):
                if given.only and kind.name != given.only:
                    continue
                ours = os.sched_getaffinity(0)
                os.sched_setaffinity(0, {0})
                server = kind(folder)
                os.sched_setaffinity(0, ours)
                try:
                    sipp(folder, server.port, "register.xml", free_port(), 1, 1, "-inf", "bob.csv").wait()
                    peak, best, rate = 0.0, 0, 100
                    while True:
                        begun, done = completed(folder, server, rate, given.seconds)
                        print(f"{kind.name}: {rate} asked, {begun:.0f} begun, {done:.0f} completed a second", flush=True)
                        if done > peak:
                            peak, best = done, rate
                        elif rate > 2 * best:
                            break
                        rate = int(rate * 1.4)
                    _, done = completed(folder, server, 2 * peak, given.seconds)
                    print(f"{kind.name}: peak {peak:.0f} at {best}; at {2 * peak:.0f} {done:.0f}, {done / peak:.0%} of the peak", flush=True)
                finally:
                    stop(server)
        finally:
            for process in [answering, *brakes]:
                process.terminate()
                process.wait(timeout=15)


if __name__ == "__main__":
    main()
