"""The API, asked by a program that reads its document and tries what a person would not; and the pages in a browser."""

import json
import os
import re
import ssl
import subprocess
import sys
import urllib.request

import jsonschema
import pytest

from conftest import DOMAIN
from phone import ring


@pytest.mark.parametrize("scopes", ["account:read,account:write,directory:read", "admin:read,admin:write"])
def test_the_api_is_what_its_document_says(service, scopes):
    service.add("alice", options=("--admin",))
    token = service.run("api-token", f"alice@{DOMAIN}", "--scopes", scopes).strip()
    base = f"https://localhost:{service.ports['http.https']}/api/v1"
    # What would end the token, or leave nothing to ask, is not tried.
    spared = ["removeAccount", "changePassword", "endSession"]
    words = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", f"{base}/openapi.json"]
    words += ["--url", base, "--tls-verify", str(service.ca), "-H", f"Authorization: Bearer {token}"]
    words += ["--max-examples", "10", "--phases", "examples,coverage,fuzzing", "--seed", "1", "--suppress-health-check", "all"]
    words += ["--checks", "not_a_server_error,content_type_conformance,response_schema_conformance,status_code_conformance"]
    words += [word for name in spared for word in ("--exclude-operation-id", name)]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=300, cwd=service.folder, env={**os.environ, "SCHEMATHESIS_HOOKS": ""}
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_the_audit_tells_what_commands_change(service):
    service.add("root", options=("--admin",))
    service.add("alice")
    service.run("user", "disable", f"alice@{DOMAIN}")
    service.run("app-password", "add", f"root@{DOMAIN}", "PHONE")
    service.run("user", "show", f"alice@{DOMAIN}")
    service.run("user", "remove", f"alice@{DOMAIN}")
    service.run("profile", "set", "service", '{"register_seconds": 600}')
    invite = json.loads(service.run("--json", "invite", "create"))["id"]
    token = service.run("api-token", f"root@{DOMAIN}", "--scopes", "admin:read", "--name", "look").strip()
    url = f"https://localhost:{service.ports['http.https']}/api/v1/audit"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    trust = ssl.create_default_context(cafile=str(service.ca))
    told = json.load(urllib.request.urlopen(request, timeout=5, context=trust))["changes"]
    assert {one["who"] for one in told} == {"command line"}
    alice, root = f"alice@{DOMAIN}", f"root@{DOMAIN}"
    assert [(one["what"], one["on"]) for one in reversed(told)] == [
        ("account created", root), ("account created", alice), ("account changed", alice), ("device added", f"{root} PHONE"),
        ("account removed", alice), ("profile changed", "service"), ("invitation made", invite), ("token made", f"{root} look"),
    ], told
    disabled, removed, profile = told[5], told[3], told[2]
    assert profile["before"] == {} and profile["after"] == {"register_seconds": 600}
    assert disabled["before"]["enabled"] and not disabled["after"]["enabled"]
    assert removed["before"]["aor"] == alice and removed["after"] is None
    assert told[4]["before"] is None, "what it changed is no part of it"


def commands(service, words=()):
    """Every command that has none below it, as the help says."""
    lines = service.run(*words, "--help").split("Commands:\n")
    if len(lines) == 1:
        return [words]
    below = [line.split()[0] for line in lines[1].split("\n\n")[0].splitlines() if re.match(r"  \w", line)]
    return [found for name in below if name != "help" for found in commands(service, (*words, name))]


def test_what_commands_print_as_json_is_as_the_document_says(service):
    """One object a line, of the shape that the operation answers which does the same, or that the document names for the command."""
    alice, bob, mac = f"alice@{DOMAIN}", f"bob@{DOMAIN}", "00:15:65:aa:bb:cc"
    service.add("alice", options=("--admin",))
    url = f"https://localhost:{service.ports['http.https']}/api/v1/openapi.json"
    document = json.load(urllib.request.urlopen(url, timeout=5, context=ssl.create_default_context(cafile=str(service.ca))))
    found = document["components"]["schemas"]["Diagnosis"]["properties"]["findings"]["items"]
    folder, invite = str(service.folder / "users"), None
    ring(service, "alice")
    told = [("Bound", ("serve",), json.dumps({"listener": "sip.udp", "address": f"127.0.0.1:{service.ports['sip.udp']}"}))]
    for shape, words in [
        ("Account", ["user", "list"]),
        ("Account", ["user", "show", alice]),
        ("Account", ["user", "add", bob]),
        ("Account", ["user", "change", bob, "--name", "Bob"]),
        ("Account", ["user", "password", bob]),
        ("DeviceToken", ["user", "token", alice]),
        ("Link", ["user", "reset-link", alice]),
        ("Done", ["user", "disable", bob]),
        ("Done", ["user", "enable", bob]),
        ("NewDevice", ["app-password", "add", alice, "PHONE"]),
        ("Device", ["app-password", "list", alice]),
        ("Done", ["app-password", "remove", alice, "PHONE"]),
        ("NewToken", ["api-token", alice, "--scopes", "account:read"]),
        ("NewInvite", ["invite", "create"]),
        ("Invite", ["invite", "list"]),
        ("Done", ["invite", "revoke", "INVITE"]),
        ("NewPhone", ["phone", "add", alice, "--mac", mac, "--make", "snom"]),
        ("Phone", ["phone", "list", alice]),
        ("Done", ["phone", "remove", alice, mac]),
        ("Done", ["profile", "set", "service", '{"srtp": "required"}']),
        ("Ban", ["ban", "add", "198.51.100.0/24", "--reason", "floods", "--for", "1h"]),
        ("Ban", ["ban", "list"]),
        ("Done", ["ban", "remove", "198.51.100.0/24"]),
        ("Settings", ["profile", "show", "service"]),
        ("MadeRoom", ["room", "add", f"board@conference.{DOMAIN}", "--owner", alice]),
        ("Traced", ["trace", alice]),
        ("Traced", ["trace", "sip:eve@elsewhere.example"]),
        ("CallRow", ["calls", "export"]),
        (found, ["doctor", "clock"]),
        ("Port", ["doctor", "ports"]),
        ("Transferred", ["export", folder]),
        ("Transferred", ["import", folder]),
        ("Done", ["renew-key"]),
        ("Checked", ["config", "check"]),
        ("Key", ["config", "print"]),
        ("Record", ["config", "zone", "--address", "192.0.2.1"]),
        ("Done", ["user", "remove", bob]),
    ]:
        words = [invite if word == "INVITE" else word for word in words]
        said = service.run("--json", *words)
        invite = json.loads(said)["id"] if words == ["invite", "create"] else invite
        told.append((shape, tuple(words), said))
    for shape, words, said in told:
        schema = {"$ref": f"#/components/schemas/{shape}"} if isinstance(shape, str) else shape
        assert said.splitlines(), words
        for line in said.splitlines():
            jsonschema.validate(json.loads(line), {**schema, "components": document["components"]})
    # What is shown to people alone says nothing to programs.
    unheld = [known for known in commands(service) if not any(words[: len(known)] == known for _, words, _ in told)]
    assert unheld == [("demo",)], unheld
