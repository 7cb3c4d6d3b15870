"""Address books of others: vdirsyncer fetches who is listed by CardDAV, and a desk phone its phone book."""

import os
import subprocess
import sys
import urllib.parse

from conftest import DOMAIN, PASSWORD
from test_provisioning import fetch


def test_vdirsyncer_fetches_the_address_book_and_cannot_write_it(service):
    service.add("alice", options=("--name", "Alice; <b>", "--video"))
    service.add("bob", "carol")
    service.run("profile", "set", "service", '{"listed":true}')
    service.run("profile", "set", f"account:carol@{DOMAIN}", '{"listed":false}')
    home = service.folder / "dav"
    home.mkdir()
    (home / "config").write_text(
        f'[general]\nstatus_path = "{home}/status/"\n'
        '[pair book]\na = "here"\nb = "there"\ncollections = ["people"]\nconflict_resolution = "b wins"\n'
        f'[storage here]\ntype = "filesystem"\npath = "{home}/cards/"\nfileext = ".vcf"\n'
        f'[storage there]\ntype = "carddav"\nurl = "https://localhost:{service.ports["http.https"]}/"\n'
        f'username = "bob"\npassword = "{PASSWORD}"\nverify = "{service.ca}"\nread_only = true\n'
    )

    def sync(command):
        words = [os.path.join(os.path.dirname(sys.executable), "vdirsyncer"), "-c", str(home / "config"), command]
        done = subprocess.run(words, input="y\n" * 5, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    sync("discover")
    sync("sync")
    cards = {path.name: path.read_text() for path in (home / "cards/people").glob("*.vcf")}
    whole = "\n".join(cards.values())
    assert len(cards) == 2 and "carol" not in whole, "carol is not listed"
    assert f"TEL;TYPE=WORK,VOICE:sip:alice@{DOMAIN}" in whole and f"IMPP:xmpp:bob@{DOMAIN}" in whole
    assert "FN:Alice\\; <b>" in whole and "TEL;TYPE=WORK,VIDEO:sip:alice@" in whole


def test_a_desk_phone_has_a_phone_book(service):
    service.add("alice", options=("--name", "A</Name><x/>"))
    service.run("profile", "set", f"account:alice@{DOMAIN}", '{"listed":true}')
    words = ("phone", "add", f"alice@{DOMAIN}", "--mac", "00:15:65:aa:bb:cc", "--make", "yealink")
    folder = urllib.parse.urlparse(service.run(*words).strip()).path
    status, configuration = fetch(service, f"{folder}001565aabbcc.cfg")
    assert status == 200 and f"{folder}directory.xml" in configuration
    status, book = fetch(service, f"{folder}directory.xml")
    assert status == 200 and f"<Telephone>alice@{DOMAIN}</Telephone>" in book and "<x/>" not in book
