"""An invitation becomes two logins by following only what its page says."""

import asyncio
import json
import re
import signal
import subprocess
import urllib.parse

from chat import Chat
from conftest import DOMAIN, PASSWORD, wait_until
from test_provisioning import configure_baresip, fetch


def invite(service, *options):
    told = json.loads(service.run("--json", "invite", "create", *options))
    return told, urllib.parse.urlparse(told["link"]).path


def configure_linphone(service, url, authority=None):
    """linphonec that knows an address alone, and whom to trust."""
    home = service.folder / "linphone"
    (home / ".local/share/linphone").mkdir(parents=True)
    (home / "ca.pem").write_text(authority or service.ca.read_text())
    (home / "rc").write_text(
        f"[misc]\nconfig-uri={url}\n[sip]\nsip_port=-1\nsip_tcp_port=-1\nsip_tls_port=-1\nroot_ca={home}/ca.pem\n"
        "verify_server_certs=1\n[sound]\nplayback_dev_id=none\ncapture_dev_id=none\n"
    )
    with open(home / "log", "wb") as log:
        words = ["linphonec", "-c", str(home / "rc"), "-d", "6"]
        return subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=log, stderr=log, env={**service.environment, "HOME": str(home)}
        )


def test_an_invitation_becomes_two_logins_by_its_page_alone(service):
    told, path = invite(service, "--expires", "7d", "--name", "Bob")
    assert told["xmpp"].startswith(f"xmpp:{DOMAIN}?register;preauth=") and told["link"].endswith(path)
    assert fetch(service, path)[0] == 200 and fetch(service, path)[0] == 200, "looking spends nothing"
    service.stop(signal.SIGKILL)
    service.start()
    status, page = fetch(service, path, form={"user": "bob", "password": "password"})
    assert status == 422 and "among the first that are guessed" in page
    status, page = fetch(service, path, form={"user": "bob", "password": PASSWORD})
    assert status == 200 and f"bob@{DOMAIN}" in page
    assert fetch(service, path, form={"user": "eve", "password": PASSWORD})[0] == 404, "an invitation is good once"

    async def chats():
        await (await Chat("bob", service).connect()).disconnect()

    asyncio.run(chats())
    status, authority = fetch(service, re.search(r'href="(/provision/ca.pem)"', page).group(1))
    assert status == 200 and "BEGIN CERTIFICATE" in authority
    url = re.search(r"https://[^<]*linphone.xml\?token=[^<]*", page).group(0)
    phone = configure_linphone(service, url, authority)
    try:
        wait_until(lambda: "sip_server_registrations_total 1" in service.metrics(), 25, "linphone registers")
    finally:
        phone.kill()
        phone.wait(timeout=10)
    service.stop(signal.SIGKILL)
    service.start()
    files = [fetch(service, link, PASSWORD, "bob")[1] for link in re.findall(r'href="(/provision/baresip-\w+)"', page)]
    phone = configure_baresip(service, *files)
    try:
        wait_until(lambda: "sip_server_registrations_total 1" in service.metrics(), 25, "baresip registers")
    finally:
        phone.terminate()
        phone.wait(timeout=15)
    assert fetch(service, path)[0] == 404, "an invitation that was accepted stays so"
    assert fetch(service, "/provision/cusax.json", PASSWORD, "bob")[0] == 200, "and so does its account"


def test_invitations_are_listed_and_taken_back_and_passwords_reset(service):
    service.add("alice")
    told, path = invite(service, "--user", "carol", "--contact", f"alice@{DOMAIN}")
    assert told["xmpp"].startswith(f"xmpp:carol@{DOMAIN}?register;preauth=")
    assert "carol" in service.run("invite", "list")
    service.run("invite", "revoke", told["id"])
    assert fetch(service, path)[0] == 404 and service.run("invite", "list") == ""
    lines = service.run("user", "reset-link", f"alice@{DOMAIN}").splitlines()
    assert "█" in "".join(lines[1:]), "a code for a camera"
    status, _ = fetch(service, urllib.parse.urlparse(lines[0]).path, form={"password": "another-horse-battery"})
    assert status == 200
    assert fetch(service, "/provision/cusax.json", PASSWORD)[0] == 401
    assert fetch(service, "/provision/cusax.json", "another-horse-battery")[0] == 200


def test_who_forgot_a_password_gets_a_link_by_the_chat_of_another_device(service):
    service.stop()
    service.environment["CUSAX_PROVISIONING__RESET_BY_CHAT"] = "true"
    service.start()
    service.add("alice")

    async def link():
        chat = await Chat("alice", service).connect()
        for name in ("nobody", "alice"):
            status, page = await asyncio.to_thread(fetch, service, "/sign-in/forgotten", form={"user": name})
            assert status == 200 and "/invite/" not in page
        told = await chat.got(lambda message: "/invite/" in message["body"], "a link")
        assert told["from"].bare == DOMAIN
        return re.search(r"https://\S+", told["body"]).group(0)

    path = urllib.parse.urlparse(asyncio.run(link())).path
    assert fetch(service, path, form={"password": "another-horse-battery"})[0] == 200
    assert fetch(service, "/provision/cusax.json", PASSWORD)[0] == 401
    assert fetch(service, "/provision/cusax.json", "another-horse-battery")[0] == 200
