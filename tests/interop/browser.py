"""Chromium without a screen, with a camera and a microphone that make their own picture and beeps, told what to do by its debugging protocol."""

import functools
import http.server
import itertools
import json
import os
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from websockets.sync.client import connect

HERE = Path(__file__).resolve().parent / "browser"


class Browser:
    """One browser, which ends with the `with` that began it. Its pages come from a folder of the tests, by loopback."""

    def __enter__(self):
        # Its children may still write there when it has ended.
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *words: None})
        self.pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=HERE))
        threading.Thread(target=self.pages.serve_forever, daemon=True).start()
        words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        words += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--ignore-certificate-errors"]
        words += ["--disable-features=WebRtcHideLocalIpsWithMdns", "--allow-loopback-in-peer-connection"]
        words += ["--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0"]
        self.log = open(Path(self.folder.name) / "log", "wb")
        self.process = subprocess.Popen(
            ["chromium", *words, f"--user-data-dir={self.folder.name}"],
            stdout=self.log,
            stderr=self.log,
            env={**os.environ, "HOME": self.folder.name},
        )
        told = Path(self.folder.name) / "DevToolsActivePort"
        end = time.monotonic() + 60
        while not told.exists() or "\n" not in told.read_text():
            assert time.monotonic() < end and self.process.poll() is None, "chromium did not start"
            time.sleep(0.05)
        self.port = int(told.read_text().split("\n")[0])
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.pages.shutdown()
        self.log.close()
        self.folder.cleanup()

    def open(self, page):
        """A page of the folder, in a tab of its own."""
        url = f"http://127.0.0.1:{self.pages.server_address[1]}/{page}"
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/new?{url}", method="PUT")
        target = json.load(urllib.request.urlopen(request, timeout=30))
        return Page(target["webSocketDebuggerUrl"])


class Page:
    """One tab."""

    def __init__(self, url):
        self.socket = connect(url, max_size=None, origin=None)
        self.numbers, self.answers = itertools.count(1), {}
        self.ask("Page.enable")
        while not self.value("location.protocol == 'http:' && document.readyState == 'complete'"):
            time.sleep(0.05)

    def begin(self, script):
        """Begins what a script says, and goes on; `finish` gives what came of it."""
        number = next(self.numbers)
        words = {"expression": script, "awaitPromise": True, "returnByValue": True, "userGesture": True}
        self.socket.send(json.dumps({"id": number, "method": "Runtime.evaluate", "params": words}))
        return number

    def finish(self, number, seconds=30):
        answer = self._answer(number, seconds)
        assert "exceptionDetails" not in answer["result"], answer["result"]["exceptionDetails"]
        return answer["result"]["result"].get("value")

    def value(self, script, seconds=30):
        """What a script comes to, once it came."""
        return self.finish(self.begin(script), seconds)

    def ask(self, method, **words):
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": words}))
        return self._answer(number, 30)

    def _answer(self, number, seconds):
        end = time.monotonic() + seconds
        while number not in self.answers:
            told = json.loads(self.socket.recv(timeout=max(0.1, end - time.monotonic())))
            if "id" in told:
                self.answers[told["id"]] = told
        told = self.answers.pop(number)
        assert "error" not in told, told["error"]
        return told
