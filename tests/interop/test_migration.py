"""Users of a real Prosody and of a real ejabberd move to cusax (XEP-0227): they log in with the password that they have, and no
message, contact, bookmark or card is lost on the way."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from chat import Chat
from conftest import Service
from foreign import Ejabberd, Prosody
from zone import Authority, Zone

LETTERS = [f"letter {n} & <more>" for n in range(30)]


class Leaving(Prosody):
    """A Prosody that knows hashes of passwords alone."""

    authentication = "internal_hashed"
    modules = '"private", "offline", "bookmarks"'

    def move(self, folder):
        """What `prosody-migrator` makes of its data."""
        stores = ["accounts", "roster", "vcard", "private", "archive-archive", "pep-pubsub"]
        names = ", ".join(f'"{store}"' for store in stores)
        (self.folder / "migrator.cfg.lua").write_text(f"""
input {{ hosts = {{ ["{self.domain}"] = {{ {names} }} }}; type = "internal"; path = "{self.folder}/data" }}
output {{ type = "xep0227"; path = "{folder}" }}
""")
        # It writes into the data folder of the installation, whatever its configuration says: here that is another.
        text = Path(shutil.which("prosody-migrator")).read_text()
        migrator = self.folder / "migrator.lua"
        migrator.write_text(text.replace("CFG_DATADIR='/var/lib/prosody'", f"CFG_DATADIR='{folder}'"))
        words = ["lua5.4", str(migrator), "--root", "--config", str(self.folder / "migrator.cfg.lua"), "input", "output"]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


class LeavingEjabberd(Ejabberd):
    modules = "  mod_offline: {}\n  mod_private: {}\n"

    def move(self, folder):
        self.command("export_piefxis", dir=str(folder))


@pytest.fixture(params=[Leaving, LeavingEjabberd], ids=["prosody", "ejabberd"])
def theirs(request, tmp_path):
    zone = Zone()
    running = request.param(tmp_path, zone, Authority(tmp_path / "authority"))
    try:
        yield running.start()
    finally:
        running.stop()
        zone.close()


async def live(theirs):
    """Romeo and mercutio are friends; while romeo is away, mercutio writes."""
    romeo, mercutio = await Chat("romeo", theirs).connect(), await Chat("mercutio", theirs).connect()
    for one in (romeo, mercutio):
        one.auto_authorize = one.auto_subscribe = True
        for plugin in ("xep_0163", "xep_0172", "xep_0049", "xep_0048"):
            one.register_plugin(plugin)
    romeo.send_presence_subscription(f"mercutio@{theirs.domain}")
    await romeo.saw(lambda p: p["from"] == mercutio.boundjid and p["type"] == "available", "mercutio")
    await mercutio.saw(lambda p: p["from"] == romeo.boundjid and p["type"] == "available", "romeo")
    await romeo.update_roster(f"mercutio@{theirs.domain}", name="Merc", groups=["Friends"])
    card = romeo.plugin["xep_0054"].make_vcard()
    card["FN"] = "Romeo Montague"
    await romeo.plugin["xep_0054"].publish_vcard(card)
    await romeo.plugin["xep_0172"].publish_nick("Romy")
    romeo.send_message(f"mercutio@{theirs.domain}", "I dreamt a dream tonight", mtype="chat")
    await mercutio.got(lambda m: m["body"] == "I dreamt a dream tonight", "his dream")
    await romeo.close()
    for letter in LETTERS:
        mercutio.send_message(f"romeo@{theirs.domain}", letter, mtype="chat")
    await mercutio.plugin["xep_0199"].ping(theirs.domain)
    await mercutio.close()


async def arrive(ours, offline):
    romeo = Chat("romeo", ours)
    for plugin in ("xep_0163", "xep_0172", "xep_0313", "xep_0059"):
        romeo.register_plugin(plugin)
    await romeo.connect()
    assert romeo.ready.is_set(), "with the password of before"
    item = romeo.client_roster[f"mercutio@{ours.domain}"]
    assert (item["name"], item["subscription"], item["groups"]) == ("Merc", "both", ["Friends"])
    card = await romeo.plugin["xep_0054"].get_vcard(f"romeo@{ours.domain}")
    assert card["vcard_temp"]["FN"] == "Romeo Montague"
    bodies = []
    async for page in romeo.plugin["xep_0313"].retrieve(iterator=True, rsm={"max": 20}):
        bodies += [m["mam_result"]["forwarded"]["stanza"]["body"] for m in page["mam"]["results"]]
    if offline:
        await romeo.got(lambda m: m["body"] == LETTERS[-1], "the last letter")
        assert [m["body"] for m in romeo.messages if m["body"].startswith("letter")] == LETTERS, "each once, in order"
    assert [body for body in bodies if body.startswith("letter")] in ([LETTERS] if not offline else [LETTERS, []]), bodies
    # And life goes on.
    mercutio = await Chat("mercutio", ours).connect()
    await romeo.saw(lambda p: p["from"] == mercutio.boundjid and p["type"] == "available", "mercutio")
    mercutio.send_message(f"romeo@{ours.domain}", "here, too", mtype="chat")
    await romeo.got(lambda m: m["body"] == "here, too", "what mercutio says here")
    await romeo.close()
    await mercutio.close()


def test_users_move_and_lose_nothing(theirs, tmp_path):
    asyncio.run(live(theirs))
    is_prosody = isinstance(theirs, Prosody)
    folder = Path(tmp_path) / "moved"
    folder.mkdir(mode=0o777)
    if is_prosody:
        theirs.stop()
        theirs.move(folder)
    else:
        theirs.move(folder)
    home = Path(tmp_path) / "ours"
    home.mkdir()
    ours = Service(home, theirs.domain, CUSAX_XMPP__SCRAM="SHA-1") if is_prosody else Service(home, theirs.domain)
    told = [json.loads(line) for line in ours.run("import", str(folder), "--json").splitlines()]
    romeo = next(report for report in told if report["user"] == f"romeo@{theirs.domain}")
    assert romeo["done"] and romeo["created"] and romeo["credentials"] == ("scram" if is_prosody else "password"), romeo
    assert romeo["contacts"] == 1 and romeo["card"], romeo
    ours.start()
    try:
        asyncio.run(arrive(ours, offline=not is_prosody))
    finally:
        ours.stop()
    # Out again, and into an empty one: as much as came.
    ours.run("export", str(home / "out"))
    empty = Path(tmp_path) / "empty"
    empty.mkdir()
    again = Service(empty, theirs.domain)
    told = [json.loads(line) for line in again.run("import", str(home / "out"), "--json").splitlines()]
    back = next(report for report in told if report["user"] == f"romeo@{theirs.domain}")
    assert back["done"] and back["contacts"] == 1 and back["card"] and back["nodes"] == romeo["nodes"], back
    assert back["archive"] > romeo["archive"], "and what was said here"


def test_a_folder_that_is_not_there_is_said_to_be_not_there(tmp_path):
    service = Service(tmp_path)
    with pytest.raises(AssertionError, match="No such file"):
        service.run("import", str(tmp_path / "nothing"))
