"""Two domains in one service, each with a bob: baresip and slixmpp of one reach those of the other, and no namesake hears of it."""

import asyncio
import socket
import ssl
import subprocess

from chat import Chat
from conftest import PASSWORD, Service
from phone import Phone

OTHER = "example.net"


def certified(folder, name, *extensions):
    """A certificate of a domain's own, which is its own root."""
    made = [
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}",
        "-addext", f"subjectAltName=DNS:{name}", "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem",
    ]  # fmt: skip
    made += [word for extension in extensions for word in ("-addext", extension)]
    subprocess.run(made, check=True, capture_output=True)
    return f'certificate = "{folder}/{name}.pem"\nkey = "{folder}/{name}.key"\n'


def shown(service, name):
    """The names of the certificate that a client of a domain is shown."""
    context = ssl.create_default_context(cafile=str(service.folder / f"{OTHER}.pem"))
    context.load_verify_locations(str(service.ca))
    address = (service.address, service.ports["xmpp.c2s_tls"])
    with socket.create_connection(address) as plain, context.wrap_socket(plain, server_hostname=name) as protected:
        return [name for _, name in protected.getpeercert()["subjectAltName"]]


async def talk(service):
    """bob of the other domain writes to alice, who answers; bob of the main one hears nothing."""
    there = Chat("bob", service, domain=OTHER)
    there.ssl_context = ssl.create_default_context(cafile=str(service.folder / f"{OTHER}.pem"))
    alice, namesake = Chat("alice", service), Chat("bob", service)
    for client in (alice, namesake, there):
        await client.connect()
        assert client.ready.is_set(), client.boundjid
    there.send_message(f"alice@{service.domain}", "from another domain")
    first = await alice.got(lambda it: it["body"] == "from another domain", "a word from another domain")
    assert first["from"].bare == f"bob@{OTHER}"
    alice.send_message(f"bob@{OTHER}", "and back")
    await there.got(lambda it: it["body"] == "and back", "the answer")
    assert not [it for it in namesake.messages if it["body"]]
    for client in (alice, namesake, there):
        await client.disconnect()


def test_each_domain_has_its_own_people_and_certificate(tmp_path):
    config = f'[[domains]]\nname = "{OTHER}"\n{certified(tmp_path, OTHER)}'
    service = Service(tmp_path, config=config).start()
    phones = []
    try:
        service.add("alice", "bob")
        service.run("user", "add", f"bob@{OTHER}", "--password-stdin", given=PASSWORD + "\n")
        assert shown(service, OTHER) == [OTHER] and OTHER in shown(service, "localhost")
        asyncio.run(talk(service))
        phones = [Phone(service, "bob", hertz=440), Phone(service, "bob", hertz=660, domain=OTHER)]
        for phone in phones:
            phone.start().wait_for("SIP/2.0 200 OK")
        alice = Phone(service, "alice", hertz=880).start(f"/dial sip:bob@{OTHER}")
        phones.append(alice)
        alice.wait_for("Call established")
        alice.wait_for("incoming rtp for 'audio' established")
        namesake, there, _ = phones
        there.wait_for("incoming rtp for 'audio' established")
        assert "Call-Info: <xmpp:alice@localhost>;purpose=impp" in there.says()
        assert "INVITE sip:" not in namesake.says()
    finally:
        for phone in phones:
            phone.stop()
        service.stop()


async def comes(service, domain):
    """bob of a domain logs in where he never was before."""
    bob = Chat("bob", service, domain=domain)
    bob.ssl_context.load_verify_locations(service.folder / f"{OTHER}.pem")
    await bob.connect()
    assert bob.ready.is_set(), f"{domain}: no login with the password of before"
    await bob.disconnect()


def test_people_of_every_domain_move(tmp_path):
    services = []
    for name in ("old", "new"):
        folder = tmp_path / name
        folder.mkdir()
        services.append(Service(folder, config=f'[[domains]]\nname = "{OTHER}"\n{certified(folder, OTHER)}'))
    old, new = services
    old.add("bob")
    old.run("user", "add", f"bob@{OTHER}", "--password-stdin", given=PASSWORD + "\n")
    old.run("export", str(tmp_path / "moved"))
    said = new.run("import", str(tmp_path / "moved"))
    assert "bob@localhost" in said and f"bob@{OTHER}" in said, said
    new.start()
    try:
        for domain in ("localhost", OTHER):
            asyncio.run(comes(new, domain))
    finally:
        new.stop()
