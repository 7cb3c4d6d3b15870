"""Requests a second that the HTTPS face answers on two cores, and the CPU that one costs: a configuration by password and by token,
WebFinger, an invitation, pages; and files for Linphone, each by a token of its own, which makes the password of a new device (another name each). A line each.

    python3 tests/load/provisioning/run.py [--seconds 10] [--connections 32] [--dev]

The service has its store in SQLite, and everything is on loopback; `load.rs` asks, on the same two cores. CPU is user and system time of
the service alone (/proc/PID/stat). Prints, fails nothing.
"""

import argparse
import base64
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent / "sip"))
from run import PASSWORD, cpu  # noqa: E402

CORES = "0,1"


def build(given):
    # Together, so that both have their libraries with the same features, and those are built once.
    words = ["cargo", "build", "-q", *([] if given.dev else ["--release"]), "-p", "cusax", "-p", "provisioning"]
    words += ["--bin", "cusax", "--bench", "load", "--message-format", "json"]
    told = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    made = [json.loads(line) for line in told.splitlines()]
    made = {one["target"]["name"]: one["executable"] for one in made if one.get("executable")}
    return Path(made["cusax"]), made["load"]


def cookie(port):
    """Signs root in, as a browser does."""
    request = urllib.request.Request(f"https://localhost:{port}/sign-in", urllib.parse.urlencode({"user": "root", "password": PASSWORD}).encode())
    stay = type("Stay", (urllib.request.HTTPRedirectHandler,), {"redirect_request": lambda *_: None})
    trust = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
    try:
        urllib.request.build_opener(stay, trust).open(request)
    except urllib.error.HTTPError as answer:
        return answer.headers["set-cookie"].split(";")[0]
    raise AssertionError("not signed in")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--dev", action="store_true", help="builds for development, to look for what is silly")
    given = parser.parse_args()
    binary, load = build(given)
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "CUSAX_DOMAIN": "localhost",
            "CUSAX_DATA_DIR": folder,
            "CUSAX_HTTP__HTTPS": "127.0.0.1:0",
            "CUSAX_OPERATIONS__LISTEN": "[]",
            "CUSAX_AUTH__THROTTLE_EXEMPT": '["127.0.0.0/8"]',
        }

        def run(*words, given=""):
            done = subprocess.run([binary, *words], env=environment, input=given, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return done.stdout

        run("user", "add", "root@localhost", "--admin", "--password-stdin", given=PASSWORD + "\n")
        words = ["taskset", "-c", CORES, str(binary), "serve", "--run", "provisioning", "--json"]
        service = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
        try:
            port = None
            while port is None:
                line = json.loads(service.stdout.readline())
                port = line["address"].rsplit(":", 1)[1] if line.get("listener") == "http.https" else None
            session = f"Cookie: {cookie(port)}"
            tokens = [run("user", "token", "root@localhost").strip().split("=")[-1] for _ in range(300)]
            # Ten devices of each account, which has no room for many more.
            offices = [f"desk{at}@localhost" for at in range(60)]
            for office in offices:
                run("user", "add", office, "--password-stdin", given=PASSWORD + "\n")
            devices = [run("user", "token", office).strip().split("=")[-1] for _ in range(10) for office in offices]
            basic = "Authorization: Basic " + base64.b64encode(f"root:{PASSWORD}".encode()).decode()
            invitation = urllib.parse.urlsplit(json.loads(run("--json", "invite", "create"))["link"]).path
            finger = "/.well-known/webfinger?resource=acct%3Aroot%40localhost"
            for name, path, headers, values in [
                ("cusax.json by Basic", "/provision/cusax.json", [basic], []),
                # Other names than a client's spend no token: they may be a preview's.
                ("cusax.json by token", "/provision/cusax.json?token=@", ["User-Agent: curl/8"], tokens),
                ("linphone.xml by token", "/provision/linphone.xml?token=@", ["User-Agent: Linphone/5"], devices),
                ("WebFinger", finger, [], []),
                ("page: invitation", invitation, [], []),
                ("page: sign-in", "/sign-in", [], []),
                ("page: account", "/account", [session], []),
            ]:
                before = cpu(service.pid)
                asked = [load, f"127.0.0.1:{port}", str(given.connections), str(given.seconds), path, *headers]
                asked = ["taskset", "-c", CORES, *asked]
                told = json.loads(subprocess.run(asked, input="\n".join(values), capture_output=True, text=True, check=True).stdout)
                used = cpu(service.pid) - before
                answers, seconds = told["answers"], told["seconds"]
                print(
                    f"{name:21} {answers / seconds:8.0f} a second, {told['good']} of {answers} good, {used / answers * 1e6:6.0f} µs of CPU each,"
                    f" {used / seconds * 100:4.0f} % of one core, p50 {told['p50']} ms, p99 {told['p99']} ms",
                    flush=True,
                )
        finally:
            os.killpg(service.pid, signal.SIGKILL)
            service.wait()


if __name__ == "__main__":
    main()
