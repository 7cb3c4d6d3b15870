"""`cusax doctor`: a healthy service is 0; one that is not is 1, and the finding names what to do."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import BINARY, DOMAIN, Service, free_port, wait_until
from test_domains import OTHER, certified, shown


def doctor(whom, *words):
    """What is found of a service, or of one whose environment this is."""
    command, environment = (whom.command, whom.environment) if isinstance(whom, Service) else ([BINARY], whom)
    done = subprocess.run([*command, "doctor", "--json", *words], env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def expired(folder, certificate, key):
    """A certificate of the past; only `ca` sets both dates in every release of openssl."""
    (folder / "index").write_text("")
    (folder / "serial").write_text("01\n")
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index\nserial={folder}/serial\nnew_certs_dir={folder}\ndefault_md=sha256\n"
        "policy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n[x]\nsubjectAltName=DNS:localhost\n[req]\ndistinguished_name=n\n[n]\n"
    )
    config = ["-config", folder / "ca.cnf"]
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-keyout", key]
    subprocess.run(["openssl", "req", *config, *new, "-out", folder / "request"], check=True, capture_output=True)
    dates = ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"]
    signed = ["-batch", "-notext", "-selfsign", "-keyfile", key, "-in", folder / "request", "-out", certificate]
    subprocess.run(["openssl", "ca", *config, *signed, *dates], check=True, capture_output=True)


def of(findings, *severities):
    return [f for f in findings if f["severity"] in severities]


def test_a_healthy_service_is_well_and_nothing_of_the_doctor_stays(service):
    service.add("alice")
    code, findings = doctor(service.environment)
    assert code == 0, of(findings, "error", "warning", "unchecked")
    assert {f["check"] for f in findings} == {"configuration", "store", "clock", "listeners", "certificates", "dns", "naptr", "directories", "providers", "halves", "call", "chat", "card", "relays", "provisioning"}
    assert {"call", "chat", "halves", "card", "provisioning"} <= {f["check"] for f in of(findings, "ok")}, findings
    assert all({"check", "severity", "text", "remedy"} <= f.keys() for f in findings)
    names = [json.loads(line)["aor"] for line in service.run("user", "list", "--json").splitlines()]
    assert names == ["alice@localhost"], "the accounts of the doctor are gone"
    assert doctor(service.environment, "store")[0] == 0
    assert doctor(service.environment, "nonsense")[0] == 1


def test_by_the_api_one_looks_at_a_time(service):
    service.add("root", options=("--admin",))
    token = service.run("api-token", "root@localhost", "--scopes", "admin:read,admin:write").strip()
    context = ssl.create_default_context(cafile=service.ca)

    def look():
        url = f"https://localhost:{service.ports['http.https']}/api/v1/doctor"
        ask = urllib.request.Request(url, method="POST", headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(ask, timeout=120, context=context) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, refused.headers["Retry-After"]

    with ThreadPoolExecutor() as both:
        (first, found), (second, wait) = sorted(both.map(lambda _: look(), range(2)))
    assert first == 200 and found["well"] is True, found
    assert second == 429 and int(wait) > 0
    names = [json.loads(line)["aor"] for line in service.run("user", "list", "--json").splitlines()]
    assert names == ["root@localhost"]


def test_without_a_server_it_says_so_and_names_whose_port_is_taken(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        service = Service(tmp_path, CUSAX_SIP__UDP=f"127.0.0.1:{port}")
        code, findings = doctor(service.environment)
    assert code == 1
    assert any("the server does not answer" in f["text"] for f in of(findings, "unchecked"))
    assert any("sip.udp" in f["text"] and str(port) in f["text"] and f["remedy"] for f in of(findings, "error")), findings


def everything(folder):
    """Every file of a folder with its time and length."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(Path(folder).rglob("*"))}


def test_without_a_server_nothing_is_made_and_nothing_is_in_its_way(tmp_path):
    new = {**os.environ, "CUSAX_DATA_DIR": str(tmp_path / "new"), "CUSAX_DOMAIN": "localhost"}
    code, findings = doctor(new, "store")
    assert (code, findings[0]["severity"]) == (0, "note") and "no store yet" in findings[0]["text"], findings
    assert doctor(new)[0] == 1
    assert not (tmp_path / "new").exists(), "a look makes no folder"

    service = Service(tmp_path).start()
    service.stop(signal.SIGKILL)
    before = everything(service.folder / "data")
    assert doctor(service.environment)[0] == 1
    assert everything(service.folder / "data") == before, "a look leaves all files as they are"
    looks = [subprocess.Popen([BINARY, "doctor"], env=service.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(8)]
    try:
        service.start()
    finally:
        for look in looks:
            look.wait(timeout=120)
        service.stop()


def test_an_expired_certificate_is_named_at_each_listener(tmp_path):
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    expired(tmp_path, certificate, key)
    service = Service(tmp_path, CUSAX_TLS__CERTIFICATE=str(certificate), CUSAX_TLS__KEY=str(key)).start()
    try:
        code, findings = doctor(service.environment, "certificates")
    finally:
        service.stop()
    assert code == 1
    told = [f["text"] for f in of(findings, "error") if "expired" in f["text"]]
    assert {text.split(":")[0] for text in told} == {"sip.tls", "xmpp.c2s_tls", "http.https"}, findings


def test_a_store_that_cannot_be_written_is_named(tmp_path):
    nowhere = tmp_path / "file"
    nowhere.write_text("no folder")
    service = Service(tmp_path, CUSAX_STORE__URL=f"sqlite://{nowhere}/cusax.db")
    code, findings = doctor(service.environment, "store")
    assert code == 1 and "does not open" in findings[0]["text"] and findings[0]["remedy"], findings


def test_a_demo_is_healthy(tmp_path):
    demo = subprocess.Popen([BINARY, "demo"], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    try:
        wait_until(lambda: list(Path(tmp_path).glob("cusax-demo-*/cusax.running")), 20, "the demo")
        (folder,) = Path(tmp_path).glob("cusax-demo-*")
        code, findings = doctor({**os.environ, "CUSAX_DATA_DIR": str(folder), "CUSAX_XMPP__S2S": "[]"})
        assert code == 0, of(findings, "error", "warning", "unchecked")
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(timeout=15)


def test_the_plan_of_ports_has_a_firewall(service):
    service.environment["CUSAX_SIP__TLS"] = "0.0.0.0:5061"
    shown = service.run("doctor", "ports")
    assert re.search(r"^5061 +tcp +sip.tls +everybody", shown, re.M), shown
    assert 'tcp dport 5061 accept' in shown and "table inet cusax" in shown


@pytest.mark.skipif(not shutil.which("nft"), reason="nothing to load a firewall with")
def test_the_firewall_loads(tmp_path):
    service = Service(tmp_path, **{f"CUSAX_{key}": f"0.0.0.0:{port}" for key, port in (("SIP__UDP", 5060), ("XMPP__C2S", 5222))})
    table = service.run("doctor", "ports").split("\n\n", 1)[1]
    assert "udp dport 5060 accept" in table and "udp dport 20000-29999 accept" in table, table
    # Of its own network, where nothing is kept out by a mistake; -c looks and changes nothing.
    checked = subprocess.run(["unshare", "-n", "nft", "-c", "-f", "-"], input=table, capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stderr


def test_each_domain_is_looked_at(tmp_path):
    config = f'[[domains]]\nname = "{OTHER}"\n{certified(tmp_path, OTHER, "basicConstraints=critical,CA:FALSE")}'
    service = Service(tmp_path, config=config, CUSAX_TLS__TRUST=f"{tmp_path}/{OTHER}.pem").start()
    try:
        code, findings = doctor(service)
        assert code == 0, of(findings, "error", "warning", "unchecked")
        for check in ("certificates", "call", "chat", "card", "provisioning"):
            told = [f["text"] for f in of(findings, "ok") if f["check"] == check]
            assert [name for name in (service.domain, OTHER) if any(name in text for text in told)] == [service.domain, OTHER], told

        # One that cannot be read is named; a reload keeps what it was, and takes the others.
        (tmp_path / f"{OTHER}.key").write_text("no key")
        before = shown(service, OTHER)
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "shared_runtime_certificates_stale 1" in service.metrics(), 10, "the reload")
        assert shown(service, OTHER) == before == [OTHER]
        assert f"the certificate of {OTHER}: " in (tmp_path / "log").read_text()
        code, findings = doctor(service, "certificates")
        (told,) = of(findings, "error")
        assert code == 1 and OTHER in told["text"] and f"{OTHER}.key" in told["text"] and told["remedy"], findings
        assert of(findings, "ok"), "the main domain's is as well as ever"
        service.stop()
        refused = subprocess.run([*service.command, "serve"], env=service.environment, capture_output=True, text=True, timeout=60)
        assert refused.returncode != 0 and f"the certificate of {OTHER}: " in refused.stderr, refused.stderr
    finally:
        service.stop()


def leave_behind(service, *names):
    """Accounts as a look leaves them that is killed: nobody else may have such names, so that they are given in the store."""
    for name in names:
        service.add("renamed", options=("--name", "cusax doctor"))
        body = "CAST(replace(CAST(body AS TEXT), :old, :new) AS BLOB)"
        with contextlib.closing(sqlite3.connect(service.folder / "data/cusax.db", timeout=10)) as store, store:
            change = f"UPDATE account SET aor = replace(aor, :old, :new), jid = replace(jid, :old, :new), body = {body} WHERE aor LIKE 'renamed@%'"
            assert store.execute(change, {"old": "renamed@", "new": f"{name}@"}).rowcount == 1


def test_what_a_killed_look_left_is_taken_away(service):
    left = ["doctor-0000000001abcdef", "doctor-9f86d081884c7d65"]
    names = lambda: [json.loads(line)["aor"].split("@")[0] for line in service.run("user", "list", "--json").splitlines()]
    service.add("alice", "doctor-house")
    leave_behind(service, *left)
    assert doctor(service, "store")[0] == 0
    assert names() == ["alice", "doctor-house"]
    service.stop()
    leave_behind(service, "doctor-00000000deadbeef")
    service.start()
    assert names() == ["alice", "doctor-house"]


def test_a_place_is_taken_at_each_relay_by_the_password_that_clients_get(tmp_path):
    port, secret, low = free_port(), tmp_path / "turn-secret", 44_000 + os.getpid() % 200 * 20
    secret.write_text("a secret of two servers\n")
    words = ["turnserver", "-n", "--use-auth-secret", "--static-auth-secret=a secret of two servers", "--fingerprint"]
    words += [f"--realm={DOMAIN}", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}"]
    words += ["--no-tls", "--no-dtls", "--no-cli", "--cli-password=x", "--log-file=stdout"]
    words += [f"--min-port={low}", f"--max-port={low + 18}", f"--pidfile={tmp_path}/pid", f"--userdb={tmp_path}/users"]
    ways = [f"turn:127.0.0.1:{port}?transport=udp", f"turn:127.0.0.1:{port}?transport=tcp", f"stun:127.0.0.1:{port}"]
    service = Service(tmp_path, CUSAX_XMPP__TURN__SERVICES=",".join(ways), CUSAX_XMPP__TURN__SECRET_FILE=str(secret)).start()
    with open(tmp_path / "turnserver", "wb") as log:
        turn = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        wait_until(lambda: doctor(service, "relays")[0] == 0, 60, "a place at each")
        _, findings = doctor(service, "relays")
        told = [f["text"] for f in of(findings, "ok")]
        assert len(told) == 3 and sum("relays at 127.0.0.1:" in text for text in told) == 2, findings
        assert sum("come from 127.0.0.1:" in text for text in told) == 1, findings
        for _ in range(12):
            assert doctor(service, "relays")[0] == 0, "places are given back: there are few"

        service.stop()
        secret.write_text("another secret\n")
        service.start()
        code, findings = doctor(service, "relays")
        refused = of(findings, "error")
        assert code == 1 and len(refused) == 2, findings
        assert all("refuses the name and the password" in f["text"] and "secret" in f["remedy"] for f in refused), findings
    finally:
        turn.terminate()
        turn.wait(timeout=15)
    code, findings = doctor(service, "relays")
    service.stop()
    assert code == 1 and len(of(findings, "error")) == 3, findings
