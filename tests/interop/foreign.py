"""Prosody and ejabberd, run and not imitated: servers of other domains, each on an address of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

from conftest import PASSWORD, free_port, wait_until


class Foreign:
    """One server of another domain."""

    def __init__(self, folder, zone, authority, trusts=True):
        """Without `trusts`, it believes nobody's certificate, so that dialback decides."""
        self.folder = Path(folder) / self.domain
        self.folder.mkdir()
        self.ca, self.dns, self.trusts = authority.ca, zone.port, trusts
        self.certificate, self.key = authority.certify(self.domain)
        ports = [free_port(socket.SOCK_STREAM, self.address) for _ in range(2)]
        self.ports = dict(zip(("xmpp.c2s", "xmpp.s2s"), ports))
        zone.announce(self.domain, f"host.{self.domain}", self.address, self.ports["xmpp.s2s"])
        self.process = None

    def start(self, words, environment=None):
        self.log = open(self.folder / "log", "ab")
        # Its children are of its group: they end with it, and nobody else does.
        self.process = subprocess.Popen(
            words,
            cwd=self.folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        wait_until(self.answers, 60, f"{self.domain} answers")
        return self

    def answers(self):
        assert self.process.poll() is None, self.says()
        for port in self.ports.values():
            try:
                socket.create_connection((self.address, port), 1).close()
            except OSError:
                return False
        return True

    def says(self):
        return (self.folder / "log").read_text(errors="replace")

    def stop(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(timeout=10)
        self.log.close()


class Prosody(Foreign):
    domain, address = "prosody.example", "127.0.0.2"
    authentication, modules = "internal_plain", ""

    def start(self):
        accounts = self.folder / "data/prosody%2eexample/accounts"
        accounts.mkdir(parents=True)
        for name in ("romeo", "mercutio"):
            (accounts / f"{name}.dat").write_text(f'return {{ ["password"] = "{PASSWORD}" }};\n')
        protected = f'ssl = {{ certificate = "{self.certificate}", key = "{self.key}", cafile = "{self.trusted()}" }}'
        (self.folder / "prosody.cfg.lua").write_text(f"""
run_as_root = true
pidfile = "{self.folder}/pid"
data_path = "{self.folder}/data"
log = {{ debug = "*console" }}
modules_enabled = {{ "roster", "saslauth", "tls", "dialback", "disco", "pep", "vcard4", "vcard_legacy", "ping", "mam",
    "carbons", "blocklist", "s2s_bidi", "smacks", "version", {self.modules} }}
modules_disabled = {{ "offline" }}
c2s_interfaces, s2s_interfaces = {{ "{self.address}" }}, {{ "{self.address}" }}
c2s_ports, s2s_ports = {{ {self.ports["xmpp.c2s"]} }}, {{ {self.ports["xmpp.s2s"]} }}
authentication = "{self.authentication}"
storage = "internal"
s2s_require_encryption = true
s2s_secure_auth = {str(self.trusts).lower()}
unbound = {{ resolvconf = false, forward = "127.0.0.1@{self.dns}", options = {{ ["do-not-query-localhost:"] = "no" }} }}
{protected}
VirtualHost "{self.domain}"
    {protected}
Component "conference.{self.domain}" "muc"
    {protected}
    modules_enabled = {{ "muc_mam" }}
""")
        words = [shutil.which("prosody", path=os.environ["PATH"] + ":/usr/bin"), "-F", "--config", str(self.folder / "prosody.cfg.lua")]
        return super().start(words)

    def trusted(self):
        """What it believes in: the authority, or itself alone."""
        return self.ca if self.trusts else self.certificate


class Ejabberd(Foreign):
    domain, address = "ejabberd.example", "127.0.0.3"
    modules = ""

    def start(self):
        both = self.folder / "both.pem"
        both.write_text(self.certificate.read_text() + self.key.read_text())
        self.ports["http"] = free_port(socket.SOCK_STREAM, self.address)
        trusted = self.ca if self.trusts else self.certificate
        (self.folder / "inetrc").write_text(
            f"{{resolv_conf, \"\"}}.\n{{hosts_file, \"\"}}.\n{{lookup, [dns]}}.\n{{nameserver, {{127,0,0,1}}, {self.dns}}}.\n"
        )
        (self.folder / "ejabberd.yml").write_text(f"""
hosts: ["{self.domain}"]
loglevel: debug
certfiles: ["{both}"]
ca_file: "{trusted}"
s2s_cafile: "{trusted}"
s2s_use_starttls: required
auth_method: [internal]
listen:
  - {{port: {self.ports["xmpp.c2s"]}, ip: "{self.address}", module: ejabberd_c2s, starttls: true}}
  - {{port: {self.ports["xmpp.s2s"]}, ip: "{self.address}", module: ejabberd_s2s_in}}
  - {{port: {self.ports["http"]}, ip: "{self.address}", module: ejabberd_http, request_handlers: {{/api: mod_http_api}}}}
api_permissions:
  all: {{from: [mod_http_api], who: all, what: "*"}}
modules:
  mod_admin_extra: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_disco: {{}}
  mod_mam: {{default: always}}
{self.modules}
  mod_muc: {{hosts: ["conference.{self.domain}"], access: all, access_create: all, access_persistent: all}}
  mod_ping: {{}}
  mod_pubsub: {{plugins: [flat, pep], hosts: ["pubsub.{self.domain}"]}}
  mod_roster: {{}}
  mod_s2s_dialback: {{}}
  mod_vcard: {{}}
  mod_version: {{}}
""")
        # A node without a name speaks with no other nodes, and needs no epmd.
        words = ["erl", "-noinput", "-mnesia", "dir", f'"{self.folder}/data"', "-s", "ejabberd"]
        paths = ":".join(str(path) for path in Path("/usr/lib").glob("*-linux-gnu"))
        environment = {
            "ERL_LIBS": paths,
            "ERL_INETRC": str(self.folder / "inetrc"),
            "EJABBERD_CONFIG_PATH": str(self.folder / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(self.folder / "ejabberd.log"),
            "ERL_CRASH_DUMP": str(self.folder / "crash"),
            "HOME": str(self.folder),
        }
        super().start(words, environment)
        for name in ("romeo", "mercutio"):
            self.command("register", user=name, host=self.domain, password=PASSWORD)
        return self

    def command(self, name, **words):
        """What an operator types as `ejabberdctl name …`."""
        url = f"http://{self.address}:{self.ports['http']}/api/{name}"
        headers = {"Content-Type": "application/json"}
        asked = urllib.request.Request(url, json.dumps(words).encode(), headers)
        return urllib.request.urlopen(asked, timeout=20).read().decode()
