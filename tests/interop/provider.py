"""A provider of OpenID Connect: the certified oidc-provider of npm, run by node on a free port of loopback."""

import socket
import subprocess
import urllib.request

from browser import HERE
from conftest import free_port

SECRET = "a secret: with/odd+letters"


class Provider:
    """One provider for one service. It ends with the `with` that began it."""

    def __init__(self, folder, https, introspection=True, refresh=True):
        self.folder = folder
        self.introspection, self.refresh = introspection, refresh
        self.port = free_port(socket.SOCK_STREAM)
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.back = f"https://localhost:{https}/sign-in/oidc/callback"
        (folder / "client-secret").write_text(SECRET + "\n")

    def __enter__(self):
        self.log = open(self.folder / "provider-log", "ab")
        words = ["node", str(HERE / "provider.mjs"), str(self.port), self.back, str(self.introspection).lower(), str(self.refresh).lower()]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=self.log, text=True)
        while "ready" not in (line := self.process.stdout.readline()):
            assert line, (self.folder / "provider-log").read_text()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=15)
        self.log.close()

    def _ask(self, path):
        return urllib.request.urlopen(self.issuer + path, timeout=10).read().decode()

    def token(self, sub, kind="opaque"):
        return self._ask(f"/test/token?sub={sub}&as={kind}")

    def logout(self, sub):
        return self._ask(f"/test/logout?sub={sub}")

    def end(self, sub):
        self._ask(f"/test/end?sub={sub}")

    def rename(self, sub, to):
        self._ask(f"/test/rename?sub={sub}&to={to}")

    def take_back(self, sub):
        self._ask(f"/test/back?sub={sub}")

    def settings(self):
        return {
            "CUSAX_AUTH__OIDC__ISSUER": self.issuer,
            "CUSAX_AUTH__OIDC__CLIENT_ID": "cusax",
            "CUSAX_AUTH__OIDC__CLIENT_SECRET_FILE": str(self.folder / "client-secret"),
            "CUSAX_AUTH__OIDC__LABEL": "the provider",
            "CUSAX_AUTH__OIDC__INTERVAL": "1s",
        }
