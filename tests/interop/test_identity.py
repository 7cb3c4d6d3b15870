"""Identity from outside: slapd keeps people and their passwords, and both halves of the service follow it."""

import asyncio
import json
import re
import ssl
import urllib.request

import pytest
from browser import Browser
from chat import Chat
from conftest import DOMAIN, PASSWORD, Service, wait_until
from sip import Agent, Udp
from slapd import Slapd
from test_pages import Surfer

WORD = "tulip-in-the-snow"


@pytest.fixture
def directory(tmp_path):
    with Slapd(tmp_path / "slapd") as running:
        yield running


@pytest.fixture
def company(tmp_path, directory):
    """A service whose people are in the directory."""
    directory.add("alice", WORD, "Alice Ames", number="+33 1 23 45 67 89")
    directory.add("root", WORD, "Root", kind="operators")
    running = Service(tmp_path, **directory.settings()).start()
    wait_until(lambda: "alice" in users(running) and "root" in users(running), 20, "the accounts of the directory")
    yield running
    running.stop()


def users(service):
    told = [json.loads(line) for line in service.run("--json", "user", "list").splitlines()]
    return {one["aor"].split("@")[0].removeprefix("sip:"): one for one in told}


def register(service, name, password):
    """The status of a REGISTER by Digest."""
    agent = Agent(name, Udp(service), password)
    headers = [f"From: <{agent.aor}>;tag=1", f"To: <{agent.aor}>", f"Call-ID: {name}-{id(agent)}", "Expires: 600"]
    answer = agent.ask("REGISTER", f"sip:{DOMAIN}", headers)
    agent.close()
    return answer.word


def phones(service, name):
    """The registrations that the service has of somebody."""
    token = service.run("api-token", f"root@{DOMAIN}", "--scopes", "admin:read").strip()
    url = f"https://localhost:{service.ports['http.https']}/api/v1/accounts/{name}@{DOMAIN}/state"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    trust = ssl.create_default_context(cafile=str(service.ca))
    return json.load(urllib.request.urlopen(request, timeout=5, context=trust))["phones"]


async def is_let_in(service, name, password):
    chat = await Chat(name, service, password).connect(presence=False)
    is_in = chat.ready.is_set()
    chat.abort()
    return is_in


def test_people_of_a_directory_chat_by_their_password_and_call_by_an_app_password(company, directory):
    shown = users(company)
    assert shown["alice"]["name"] == "Alice Ames" and shown["alice"]["numbers"] == ["+33123456789"], shown
    assert shown["root"]["admin"] and not shown["alice"]["admin"]
    assert asyncio.run(is_let_in(company, "alice", WORD))
    for wrong in ("", "wrong", "*"):
        assert not asyncio.run(is_let_in(company, "alice", wrong))
    assert not asyncio.run(is_let_in(company, "*", WORD)), "a name is no pattern"
    # Digest needs a verifier, which a directory does not give.
    assert register(company, "alice", WORD) == "401"
    phone = json.loads(company.run("--json", "app-password", "add", f"alice@{DOMAIN}", "PHONE"))["password"]
    wait_until(lambda: register(company, "alice", phone) == "200", 5, "the phone's registration")
    # Who is new there may sign in before the directory is read again.
    directory.add("bob", WORD, "Bob")
    assert asyncio.run(is_let_in(company, "bob", WORD))
    assert "shared_auth_outside_total" in company.metrics()


def test_who_leaves_the_directory_loses_both_halves_and_gets_them_back(company, directory):
    phone = json.loads(company.run("--json", "app-password", "add", f"alice@{DOMAIN}", "PHONE"))["password"]
    assert register(company, "alice", phone) == "200"
    assert phones(company, "alice")

    async def story():
        chat = await Chat("alice", company, WORD).connect()
        directory.replace("alice", "employeeType", "left")
        await asyncio.wait_for(chat.ended.wait(), 60)

    asyncio.run(story())
    wait_until(lambda: not users(company)["alice"]["enabled"], 5, "the account's end")
    wait_until(lambda: not phones(company, "alice"), 5, "the end of the phone's registration")
    assert register(company, "alice", phone) in ("401", "403")
    assert not asyncio.run(is_let_in(company, "alice", WORD))
    directory.replace("alice", "employeeType", "staff")
    wait_until(lambda: users(company)["alice"]["enabled"], 60, "the account's return")
    assert register(company, "alice", phone) == "200" and asyncio.run(is_let_in(company, "alice", WORD))
    directory.replace("alice", "cn", "Alice Bell")
    wait_until(lambda: users(company)["alice"]["name"] == "Alice Bell", 60, "the new name")


def test_a_silent_directory_ends_nobody_and_lets_nobody_new_in(company, directory):
    company.add("carol")

    async def story():
        chat = await Chat("alice", company, WORD).connect()
        directory.stop()
        wait_until(lambda: 'outcome="failed"' in company.metrics(), 20, "a reading that fails")
        assert not chat.ended.is_set(), "a session stays"
        await chat.close()
        late = Chat("alice", company, WORD)
        reasons = []
        late.add_event_handler("failed_auth", lambda failure: reasons.append(failure["condition"]))
        await late.connect(presence=False)
        late.abort()
        assert reasons == ["temporary-auth-failure"], reasons

    asyncio.run(story())
    assert asyncio.run(is_let_in(company, "carol", PASSWORD)), "who is ours comes in"
    assert users(company)["alice"]["enabled"]
    directory.start()
    wait_until(lambda: asyncio.run(is_let_in(company, "alice", WORD)), 30, "alice's return")


def test_the_page_says_what_a_phone_needs(company):
    with Browser() as browser:
        surfer = Surfer(browser, company)
        surfer.go("/sign-in")
        surfer.fill("sign-in", user="alice", password=WORD)
        surfer.arrives("/account")
        assert "Phones cannot use the password that you sign in with" in surfer.text()
        assert "kept by the organisation" in surfer.text()
        surfer.is_fit("account")
        surfer.fill("addDevice", name="PHONE")
        wait_until(lambda: "shown once" in surfer.text(), 10, "the password of a device")
        phone = surfer.page.value("document.querySelector('.note dd code').innerText")
        assert re.fullmatch(r"(\w{5}-){3}\w{5}", phone)
        assert register(company, "alice", phone) == "200"
