"""Clients' configuration by HTTPS; linphonec registers from the URL alone."""

import base64
import hashlib
import json
import re
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import javaproperties
import jsonschema
from conftest import DOMAIN, PASSWORD, wait_until


def fetch(service, path, password=None, name="alice", form=None, agent="curl/8"):
    context = ssl.create_default_context(cafile=str(service.folder / "data/tls/ca.pem"))
    request = urllib.request.Request(f"https://localhost:{service.ports['http.https']}{path}", headers={"User-Agent": agent})
    if password:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode())
    data = urllib.parse.urlencode(form).encode() if form else None
    try:
        with urllib.request.urlopen(request, data, timeout=10, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def test_an_account_fetches_its_two_halves_by_password_or_token_once(service):
    service.add("alice")
    status, text = fetch(service, "/provision/cusax.json", PASSWORD)
    whole = json.loads(text)
    assert status == 200 and whole["sip"]["aor"] == f"sip:alice@{DOMAIN}" and whole["xmpp"]["jid"] == f"alice@{DOMAIN}"
    assert whole["xmpp"]["features"]["calls"] is False and whole["sip"]["features"]["messaging"] is False
    token = service.run("user", "token", f"alice@{DOMAIN}").strip()
    path = f"/provision/cusax.json?token={token}"
    assert fetch(service, path, agent="facebookexternalhit/1.1")[0] == 403, "a preview spends nothing"
    url, ca = f"https://localhost:{service.ports['http.https']}{path}", service.folder / "data/tls/ca.pem"
    told = subprocess.run(["curl", "--silent", "--cacert", ca, url], capture_output=True, timeout=20).stdout
    assert json.loads(told)["sip"]["aor"] == f"sip:alice@{DOMAIN}"
    assert fetch(service, f"/provision/cusax.json?token={token}")[0] == 401, "a token is good once"
    wrong, nobody = fetch(service, "/provision/cusax.json", "wrong"), fetch(service, "/provision/cusax.json", "wrong", "eve")
    assert wrong == nobody and wrong[0] == 401


def test_an_app_password_yields_no_more_than_itself(service):
    service.add("alice")
    app = service.run("app-password", "add", f"alice@{DOMAIN}", "PHONE").strip()

    def ha1_of(password):
        status, text = fetch(service, "/provision/linphone.xml", password)
        assert status == 200
        return text.split('name="ha1" overwrite="true">')[1].split("<")[0]

    def digest(password):
        return hashlib.sha256(f"alice:{DOMAIN}:{password}".encode()).hexdigest()

    assert ha1_of(PASSWORD) == digest(PASSWORD) and ha1_of(app) == digest(app)


def test_jitsi_gets_properties_by_post_and_webfinger_tells_strangers_nothing(service):
    name = "Zoë \\ ${user.home} 😀"
    service.add("alice", options=("--name", name))
    status, text = fetch(service, "/provision/jitsi.properties", form={"username": "alice", "password": PASSWORD})
    assert fetch(service, "/provision/jitsi.properties", PASSWORD) == (status, text), "GET and POST give the same"
    keys = javaproperties.loads(text)
    shown = next(value for key, value in keys.items() if key.endswith(".DISPLAY_NAME"))
    assert shown == name.replace("${", "$ {"), "a placeholder that Jitsi would ask for is none"
    node = next(key for key in keys if key.endswith("cusax.XMPP_ACCOUNT_ID"))
    assert status == 200 and any(key.endswith(keys[node]) and "jabber" in key for key in keys)
    assert "CALLING_DISABLED=true" in text
    # Jitsi finds the XMPP account whose node id ends with the property's value, and wants its UID to be written.
    nodes = {key for key, value in keys.items() if re.fullmatch(r"net\.java\.sip\.communicator\.impl\.protocol\.\w+\.acc\d+", key)}
    linked = [key for key in nodes if key.endswith(keys[node]) and ".jabber." in key]
    assert len(nodes) == 2 and len(linked) == 1 and keys[linked[0] + ".ACCOUNT_UID"].startswith(f"Jabber:alice@{DOMAIN}")
    assert keys["net.java.sip.communicator.impl.protocol.sip.MESSAGING_DISABLED"] == "true"
    assert keys[node.removesuffix("cusax.XMPP_ACCOUNT_ID") + "IS_PRESENCE_ENABLED"] == "false"
    known = fetch(service, f"/.well-known/webfinger?resource=acct:alice@{DOMAIN}")
    unknown = fetch(service, f"/.well-known/webfinger?resource=acct:eve@{DOMAIN}")
    assert known[1].replace("alice", "eve") == unknown[1] and known[0] == unknown[0] == 200
    assert f"sip:alice@{DOMAIN}" in fetch(service, f"/.well-known/webfinger?resource=acct:alice@{DOMAIN}", PASSWORD)[1]
    assert fetch(service, "/.well-known/host-meta")[0] == 200


def test_linphone_registers_from_the_url_alone(service):
    service.add("alice")
    token = service.run("user", "token", f"alice@{DOMAIN}").strip()
    home = service.folder / "linphone"
    (home / ".local/share/linphone").mkdir(parents=True)
    ca = service.folder / "data/tls/ca.pem"
    url = f"https://localhost:{service.ports['http.https']}/provision/linphone.xml?token={token}"
    (home / "rc").write_text(
        f"[misc]\nconfig-uri={url}\n[sip]\nsip_port=-1\nsip_tcp_port=-1\nsip_tls_port=-1\nroot_ca={ca}\n"
        "verify_server_certs=1\n[sound]\nplayback_dev_id=none\ncapture_dev_id=none\n"
    )
    with open(home / "log", "wb") as log:
        phone = subprocess.Popen(
            ["linphonec", "-c", str(home / "rc"), "-d", "6"],
            stdin=subprocess.PIPE, stdout=log, stderr=log, env={**service.environment, "HOME": str(home)},
        )
    try:
        wait_until(
            lambda: "sip_server_registrations_total 1" in service.metrics(), 25, "linphone registers"
        )
    finally:
        phone.kill()
        phone.wait(timeout=10)


def test_linphone_registers_by_what_is_typed(service):
    service.add("alice")
    home = service.folder / "linphone"
    (home / ".local/share/linphone").mkdir(parents=True)
    (home / "rc").write_text(
        f"[sip]\nsip_port=-1\nsip_tcp_port=-1\nsip_tls_port=-1\nroot_ca={service.ca}\nverify_server_certs=1\ndefault_proxy=0\n"
        f"[proxy_0]\nreg_proxy=<sip:localhost:{service.ports['sip.tls']};transport=tls>\nreg_identity=sip:alice@{DOMAIN}\n"
        f"reg_sendregister=1\n[auth_info_0]\nusername=alice\npasswd={PASSWORD}\nrealm={DOMAIN}\n"
        "[sound]\nplayback_dev_id=none\ncapture_dev_id=none\n"
    )
    with open(home / "log", "wb") as log:
        words = ["linphonec", "-c", str(home / "rc"), "-d", "6"]
        environment = {**service.environment, "HOME": str(home)}
        phone = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)
    try:
        wait_until(lambda: "sip_server_registrations_total 1" in service.metrics(), 25, "linphone registers")
    finally:
        phone.kill()
        phone.wait(timeout=10)


def test_the_whole_is_what_its_schema_says(service):
    service.add("alice", options=("--number", "+33123456789"))
    schema = json.loads(fetch(service, "/provision/cusax.schema.json")[1])
    jsonschema.Draft202012Validator.check_schema(schema)
    whole = json.loads(fetch(service, "/provision/cusax.json", PASSWORD)[1])
    jsonschema.validate(whole, schema)
    assert whole["relationship"]["linked"] and whole["security"]["srtp"] == "preferred"
    service.run("profile", "set", "service", '{"srtp":"required"}')
    service.run("profile", "set", f"account:alice@{DOMAIN}", '{"linked":false}')
    whole = json.loads(fetch(service, "/provision/cusax.json", PASSWORD)[1])
    jsonschema.validate(whole, schema)
    assert whole["relationship"] == {"linked": False} and whole["xmpp"]["features"]["calls"]
    assert whole["security"]["srtp"] == "required", "an account's profile lies over the service's"


def configure_baresip(service, accounts, config):
    """baresip that has these two files, and the modules that a machine without sound has."""
    home = service.folder / "baresip"
    home.mkdir()
    # baresip asks name servers alone, and none knows localhost.
    (home / "accounts").write_text(accounts.replace('outbound="sip:localhost', 'outbound="sip:127.0.0.1'))
    (home / "contacts").write_text("")
    (home / "config").write_text(
        "module_path /usr/lib/baresip/modules\nsip_listen 127.0.0.1:0\nmodule stdio.so\n" + config
        + "module_tmp account.so\nmodule_app menu.so\n"
    )
    (home / "ca.pem").write_text(fetch(service, "/provision/ca.pem")[1])
    with open(home / "log", "wb") as log:
        words = ["stdbuf", "-o0", "baresip", "-f", str(home)]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=home)


def test_baresip_registers_by_its_two_files(service):
    service.add("alice", "bob")
    token = service.run("user", "token", f"alice@{DOMAIN}").strip()
    accounts = fetch(service, f"/provision/baresip-accounts?token={token}")[1]
    assert PASSWORD not in accounts and "mediaenc=srtp" in accounts and ";transport=tls>" in accounts
    config = fetch(service, "/provision/baresip-config", PASSWORD)[1]
    assert "sip_verify_server yes" in config
    phone = configure_baresip(service, accounts, config)
    try:
        wait_until(lambda: "sip_server_registrations_total 1" in service.metrics(), 25, "baresip registers")
    finally:
        phone.terminate()
        phone.wait(timeout=15)
    assert "baresip" in service.run("app-password", "list", f"alice@{DOMAIN}"), "the file's password is the device's own"


def test_desk_phones_fetch_their_files_by_address_from_a_folder_of_their_own(service):
    service.add("alice", options=("--name", "</P3><evil/>\"&"))
    mac = "00:15:65:aa:bb:cc"

    def folder(make):
        url = service.run("phone", "add", f"alice@{DOMAIN}", "--mac", mac, "--make", make).strip()
        return urllib.parse.urlparse(url).path.rpartition("/")[0] + "/"

    found = {
        make: fetch(service, folder(make) + file)
        for make, file in (
            ("yealink", "001565AABBCC.cfg"), ("snom", "snom-001565aabbcc.xml"), ("grandstream", "cfg001565aabbcc.xml"),
            ("polycom", "001565aabbcc-cusax.cfg"),
        )
    }
    assert all(status == 200 and (make == "yealink" or "<evil" not in text) for make, (status, text) in found.items()), found
    yealink = folder("yealink")
    first, second = (fetch(service, f"{yealink}001565aabbcc.cfg")[1] for _ in range(2))
    password = [re.search(r"account.1.password = (\S+)", text).group(1) for text in (first, second)]
    assert password[0] != password[1] and fetch(service, "/provision/cusax.json", password[0])[0] == 401
    assert fetch(service, "/provision/cusax.json", password[1])[0] == 200
    assert fetch(service, f"{yealink}001565aabbcd.cfg")[0] == 404, "another phone"
    service.run("phone", "remove", f"alice@{DOMAIN}", mac)
    assert fetch(service, f"{yealink}001565aabbcc.cfg")[0] == 404
    # Another process took it back, of which the server hears within a second.
    wait_until(lambda: fetch(service, "/provision/cusax.json", password[1])[0] == 401, 5, "the phone's password ends")


def test_mcabber_logs_in_by_its_file(service):
    service.add("alice")
    home = service.folder / "mcabber"
    home.mkdir(mode=0o700)
    (home / "ca.pem").write_text(fetch(service, "/provision/ca.pem")[1])
    # The password is asked for; here a file says it.
    (home / "mcabberrc").write_text(fetch(service, "/provision/mcabberrc", PASSWORD)[1] + f"set password = {PASSWORD}\n")
    (home / "mcabberrc").chmod(0o600)
    words = ["script", "-qfc", "mcabber -f mcabberrc", "screen"]
    environment = {**service.environment, "HOME": str(home), "TERM": "xterm", "LINES": "40", "COLUMNS": "120"}
    with open(home / "log", "wb") as log:
        client = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=home, env=environment)
    try:
        wait_until(lambda: 'shared_auth_proofs_total{outcome="accepted",protocol="xmpp"} 1' in service.metrics(), 20, "mcabber logs in")
    finally:
        client.terminate()
        client.wait(timeout=10)


def test_profanity_logs_in_by_its_account(service):
    service.add("alice")
    home = service.folder / "profanity"
    for place in ("data/profanity", "config/profanity"):
        (home / place).mkdir(parents=True)
    (home / "ca.pem").write_text(fetch(service, "/provision/ca.pem")[1])
    (home / "data/profanity/accounts").write_text(fetch(service, "/provision/profanity-accounts", PASSWORD)[1])
    (home / "config/profanity/profrc").write_text(f"[connection]\ntls.certpath={home}\ncafile={home}/ca.pem\n")
    environment = {
        **service.environment, "HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "XDG_CONFIG_HOME": str(home / "config"),
        "TERM": "xterm", "LINES": "40", "COLUMNS": "120", "SSL_CERT_FILE": str(home / "ca.pem"),
    }
    with open(home / "log", "wb") as log:
        words = ["script", "-qfc", f"profanity -a alice@{DOMAIN}", "screen"]
        client = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=home, env=environment)
    try:
        wait_until(lambda: b"Enter password" in (home / "log").read_bytes(), 10, "profanity asks for the password")
        client.stdin.write(PASSWORD.encode() + b"\r")
        client.stdin.flush()
        wait_until(lambda: 'shared_auth_proofs_total{outcome="accepted",protocol="xmpp"} 1' in service.metrics(), 20, "profanity logs in")
    finally:
        client.terminate()
        client.wait(timeout=10)
