"""Identity from outside: slapd or oidc-provider keeps people and their passwords, and both halves of the service follow it."""

import asyncio
import base64
import json
import re
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest
from browser import Browser
from chat import Chat
from conftest import DOMAIN, PASSWORD, Service, free_port, wait_until
from provider import Provider
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


def ask(service, path):
    """What the API answers an administrator."""
    token = service.run("api-token", f"root@{DOMAIN}", "--scopes", "admin:read").strip()
    url = f"https://localhost:{service.ports['http.https']}/api/v1{path}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    trust = ssl.create_default_context(cafile=str(service.ca))
    return json.load(urllib.request.urlopen(request, timeout=5, context=trust))


def phones(service, name):
    """The registrations that the service has of somebody."""
    return ask(service, f"/accounts/{name}@{DOMAIN}/state")["phones"]


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


OTHER = "example.net"


def aors(service):
    told = [json.loads(line) for line in service.run("--json", "user", "list").splitlines()]
    return {one["aor"]: one["enabled"] for one in told}


def test_each_domain_has_its_own_directory_and_a_password_is_shown_to_no_other(tmp_path):
    with Slapd(tmp_path / "main") as main, Slapd(tmp_path / "there") as there:
        trust = tmp_path / "both.pem"
        trust.write_text(main.ca.read_text() + there.ca.read_text())
        keys = {name.removeprefix("CUSAX_AUTH__LDAP__").lower(): value for name, value in there.settings().items() if "LDAP" in name}
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in keys.items())
        config = f'[[domains]]\nname = "{OTHER}"\n[domains.ldap]\n{lines}'
        service = Service(tmp_path, config=config, **main.settings() | {"CUSAX_TLS__TRUST": str(trust)})
        main.add("alice", WORD, "Alice Ames")
        there.add("alice", "another-word", "Alice Bell")
        there.add("bob", WORD, "Bob")
        service.start()
        try:
            whole = {f"alice@{DOMAIN}", f"alice@{OTHER}", f"bob@{OTHER}"}
            wait_until(lambda: aors(service).keys() == whole, 20, "the accounts of both directories")

            async def gets_in(name, password, domain):
                chat = Chat(name, service, password, domain=domain)
                chat.ssl_context.check_hostname = False
                await chat.connect(presence=False)
                is_in = chat.ready.is_set()
                chat.abort()
                return is_in

            for name, domain, right, wrong in [("alice", DOMAIN, WORD, "another-word"), ("alice", OTHER, "another-word", WORD)]:
                assert asyncio.run(gets_in(name, right, domain)), domain
                assert not asyncio.run(gets_in(name, wrong, domain)), domain
            assert not asyncio.run(gets_in("bob", WORD, DOMAIN)), "he is of the other one"

            # Who leaves one directory ends there alone; a directory that is silent ends nobody.
            main.stop()
            there.replace("bob", "employeeType", "left")
            there.replace("alice", "cn", "Alice Bellamy")
            wait_until(lambda: not aors(service)[f"bob@{OTHER}"], 60, "the end of who left")
            assert aors(service) == {f"alice@{DOMAIN}": True, f"alice@{OTHER}": True, f"bob@{OTHER}": False}
            assert asyncio.run(gets_in("alice", "another-word", OTHER)), "the other directory answers"
        finally:
            service.stop()


def test_a_group_of_the_directory_is_a_layer_of_profiles(company, directory):
    company.run("profile", "set", "group:Sales", '{"register_seconds": 600}')
    directory.replace("alice", "employeeType", "cn=Sales,ou=groups,dc=example,dc=org")
    token = company.run("user", "token", f"alice@{DOMAIN}").strip()

    def group():
        return [one["group"] for one in ask(company, "/groups")["groups"] if f"alice@{DOMAIN}" in one["members"]]

    wait_until(lambda: group() == ["Sales"], 60, "the group")
    url = f"https://localhost:{company.ports['http.https']}/provision/cusax.json"
    trust = ssl.create_default_context(cafile=str(company.ca))
    answer = urllib.request.urlopen(url, urllib.parse.urlencode({"token": token}).encode(), timeout=5, context=trust)
    assert '"register_seconds":600' in answer.read().decode().replace(": ", ":")
    assert ask(company, f"/accounts/alice@{DOMAIN}/groups")["groups"] == [], "nobody said so here"


def test_who_leaves_the_directory_loses_both_halves_and_gets_them_back(company, directory):
    phone = json.loads(company.run("--json", "app-password", "add", f"alice@{DOMAIN}", "PHONE"))["password"]
    wait_until(lambda: register(company, "alice", phone) == "200", 5, "the phone's registration")
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
    told = [(one["who"], one["what"]) for one in ask(company, "/audit")["changes"] if one["on"] == f"alice@{DOMAIN}"]
    assert told == [("ldap", f"account {what}") for what in ("changed", "returned", "ended", "created")], told


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


# Tokens are taken of who never signed in on a page, so that nobody hears when the provider ends them.
TOKENS_ALONE = {"CUSAX_AUTH__OIDC__UNWATCHED": "tell"}


@pytest.fixture
def federated(tmp_path, request):
    """A service that signs people in at a provider, which knows where they come back to."""
    https = free_port(socket.SOCK_STREAM)
    with Provider(tmp_path, https) as provider:
        own = getattr(request, "param", {})
        running = Service(tmp_path, CUSAX_HTTP__HTTPS=f"127.0.0.1:{https}", **own, **provider.settings()).start()
        running.add("root", options=("--admin",))
        running.provider = provider
        yield running
        running.stop()


@pytest.fixture
def unasked(tmp_path):
    """The same where the provider cannot be asked about tokens, as most cannot."""
    https = free_port(socket.SOCK_STREAM)
    with Provider(tmp_path, https, introspection=False) as provider:
        running = Service(tmp_path, CUSAX_HTTP__HTTPS=f"127.0.0.1:{https}", **provider.settings()).start()
        running.add("root", options=("--admin",))
        running.provider = provider
        yield running
        running.stop()


def test_who_changes_or_ends_at_a_provider_that_cannot_be_asked_about_tokens_does_so_here(unasked):
    provider = unasked.provider
    with Browser() as browser:
        surfer = Surfer(browser, unasked)
        sign_in_elsewhere(surfer, provider, "alice")
        surfer.arrives("/account")
        surfer.fill("addDevice", name="PHONE")
        wait_until(lambda: "shown once" in surfer.text(), 10, "the password of a device")
        phone = surfer.page.value("document.querySelector('.note dd code').innerText")
        assert register(unasked, "alice", phone) == "200" and phones(unasked, "alice")
        provider.rename("alice", "Alicia")
        wait_until(lambda: users(unasked)["alice"]["name"] == "Alicia", 60, "another name")

        async def story():
            chat = await Chat("alice+PHONE", unasked, phone).connect()
            provider.end("alice")
            await asyncio.wait_for(chat.ended.wait(), 60)

        asyncio.run(story())
        wait_until(lambda: not phones(unasked, "alice"), 5, "the end of the phone's registration")
        assert not users(unasked)["alice"]["enabled"]


@pytest.mark.parametrize("unwatched", ["tell", None])
def test_a_sign_in_of_whose_end_nobody_hears_is_refused_unless_configured(tmp_path, unwatched):
    https = free_port(socket.SOCK_STREAM)
    configured = {"CUSAX_AUTH__OIDC__UNWATCHED": unwatched} if unwatched else {}
    with Provider(tmp_path, https, refresh=False) as provider:
        service = Service(tmp_path, CUSAX_HTTP__HTTPS=f"127.0.0.1:{https}", **configured, **provider.settings()).start()
        service.add("root", options=("--admin",))
        try:
            with Browser() as browser:
                surfer = Surfer(browser, service)
                sign_in_elsewhere(surfer, provider, "alice")
                if unwatched == "tell":
                    surfer.arrives("/account")
                else:
                    wait_until(lambda: "gave nothing by which this service hears" in surfer.text(), 20, "why it is not taken")
            heard, _ = bearer(service, provider.token("alice"))
            assert ("<success" in heard) == (unwatched == "tell"), heard
            assert ("alice" in users(service)) == (unwatched == "tell")
        finally:
            service.stop()
        assert ("auth.oidc.parameters" in (service.folder / "log").read_text()) == (unwatched is None)


def test_refresh_tokens_are_asked_for_in_the_providers_own_way(tmp_path):
    https = free_port(socket.SOCK_STREAM)
    with Provider(tmp_path, https, refresh="google") as provider:
        own = {"CUSAX_AUTH__OIDC__SCOPES": "openid profile", "CUSAX_AUTH__OIDC__PARAMETERS": '{ access_type = "offline", prompt = "consent" }'}
        service = Service(tmp_path, CUSAX_HTTP__HTTPS=f"127.0.0.1:{https}", **own, **provider.settings()).start()
        service.add("root", options=("--admin",))
        try:
            with Browser() as browser:
                surfer = Surfer(browser, service)
                sign_in_elsewhere(surfer, provider, "alice")
                surfer.arrives("/account")
            provider.end("alice")
            wait_until(lambda: not users(service)["alice"]["enabled"], 60, "the end of what ended there")
        finally:
            service.stop()


def sign_in_elsewhere(surfer, provider, name, domain=DOMAIN):
    """By the provider's own pages, as a person would."""
    surfer.go("/sign-in")
    assert "Sign in by the provider" in surfer.text()
    surfer.page.value(f"setTimeout(() => document.querySelector('a[href=\"/sign-in/oidc?domain={domain}\"]').click(), 0); 1")
    at_provider(surfer, provider, "document.querySelector('input[name=login]')")
    surfer.page.value(
        f"document.querySelector('input[name=login]').value = {json.dumps(name)};"
        "document.querySelector('input[name=password]').value = 'x'; setTimeout(() => document.querySelector('form').requestSubmit(), 0); 1"
    )
    at_provider(surfer, provider, "!document.querySelector('input[name=login]') && document.querySelector('form')")
    surfer.page.value("setTimeout(() => document.querySelector('form').requestSubmit(), 0); 1")


def at_provider(surfer, provider, holds):
    def is_there():
        try:
            return surfer.page.value(f"location.origin == '{provider.issuer}' && document.readyState == 'complete' && !!({holds})")
        except AssertionError:
            return False  # between two pages there is nobody to answer

    wait_until(is_there, 20, f"the provider's page with {holds}")


def bearer(service, token, name="", last=b"\x01", domain=DOMAIN):
    """What a client hears that shows a token: the elements after `<auth/>`."""
    trust = ssl.create_default_context(cafile=str(service.ca))
    with socket.create_connection(("127.0.0.1", service.ports["xmpp.c2s_tls"]), 10) as plain, trust.wrap_socket(plain, server_hostname=DOMAIN) as wire:
        header = f"<stream:stream to='{domain}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        wire.sendall(header.encode())
        heard = until(wire, b"</stream:features>")
        assert b"<mechanism>OAUTHBEARER</mechanism>" in heard, heard
        first = base64.b64encode(f"n,{name and 'a=' + name},\x01auth=Bearer {token}\x01\x01".encode()).decode()
        wire.sendall(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='OAUTHBEARER'>{first}</auth>".encode())
        heard = until(wire, b"</challenge>", b"<success", b"</failure>")
        if b"<challenge" not in heard:
            return heard.decode(), None
        told = json.loads(base64.b64decode(re.search(rb"<challenge[^>]*>([^<]+)", heard)[1]))
        wire.sendall(f"<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{base64.b64encode(last).decode()}</response>".encode())
        return until(wire, b"<success", b"</failure>").decode(), told


def until(wire, *ends):
    heard = b""
    while not any(end in heard for end in ends):
        part = wire.recv(65536)
        assert part, heard
        heard += part
    return heard


def test_a_person_signs_in_at_a_provider_and_loses_both_halves_when_it_ends_them(federated):
    provider = federated.provider
    with Browser() as browser:
        surfer = Surfer(browser, federated)
        surfer.go("/sign-in")
        surfer.is_fit("sign-in")
        sign_in_elsewhere(surfer, provider, "alice")
        surfer.arrives("/account")
        assert "Alice of the provider" in surfer.text() and "kept by the organisation" in surfer.text()
        surfer.fill("addDevice", name="PHONE")
        wait_until(lambda: "shown once" in surfer.text(), 10, "the password of a device")
        phone = surfer.page.value("document.querySelector('.note dd code').innerText")
        assert register(federated, "alice", phone) == "200" and phones(federated, "alice")

        provider.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: 'outcome="failed",source="oidc"' in federated.metrics(), 20, "a question without an answer")
        provider.process.send_signal(signal.SIGCONT)
        assert phones(federated, "alice"), "a silent provider ends nobody"
        provider.rename("alice", "Alicia")
        wait_until(lambda: users(federated)["alice"]["name"] == "Alicia", 60, "another name")

        async def story():
            chat = await Chat("alice+PHONE", federated, phone).connect()
            provider.end("alice")
            await asyncio.wait_for(chat.ended.wait(), 60)

        asyncio.run(story())
        wait_until(lambda: not phones(federated, "alice"), 5, "the end of the phone's registration")
        assert not users(federated)["alice"]["enabled"]
        assert "not-authorized" in bearer(federated, provider.token("alice"))[0], "an older token opens nothing again"
        # A name that is somebody else's here is nobody's by signing in there.
        other = Surfer(browser, federated)
        other.page.ask("Network.clearBrowserCookies")
        sign_in_elsewhere(other, provider, "root")
        wait_until(lambda: "was not accepted" in other.text(), 15, "a refusal")


@pytest.fixture
def of_two_providers(tmp_path):
    """A service of two domains, whose people sign in at a provider each."""
    https = free_port(socket.SOCK_STREAM)
    folders = [tmp_path / name for name in ("here", "there")]
    for folder in folders:
        folder.mkdir()
    with Provider(folders[0], https) as here, Provider(folders[1], https) as there:
        keys = {name.removeprefix("CUSAX_AUTH__OIDC__").lower(): value for name, value in there.settings().items()}
        keys |= {"label": "the provider there", "unwatched": "tell"}
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in keys.items())
        config = f'[[domains]]\nname = "{OTHER}"\n[domains.oidc]\n{lines}'
        running = Service(tmp_path, config=config, CUSAX_HTTP__HTTPS=f"127.0.0.1:{https}", **TOKENS_ALONE, **here.settings()).start()
        running.add("root", options=("--admin",))
        yield running, here, there
        running.stop()


def test_each_domain_has_its_own_provider_and_a_sign_in_there_is_none_here(of_two_providers):
    service, here, there = of_two_providers
    assert "<success" in bearer(service, here.token("alice"))[0]
    assert "<success" in bearer(service, there.token("alice"), domain=OTHER)[0]
    assert aors(service).keys() >= {f"alice@{DOMAIN}", f"alice@{OTHER}"}, "two people of one name"
    for kind in ("opaque", "jwt"):
        for provider, domain in ((here, OTHER), (there, DOMAIN)):
            heard = bearer(service, provider.token("alice", kind), domain=domain)[0]
            assert "<success" not in heard, (kind, domain, heard)
    assert aors(service).keys() == {f"alice@{DOMAIN}", f"alice@{OTHER}", f"root@{DOMAIN}"}, "and nobody else was made"

    with Browser() as browser:
        surfer = Surfer(browser, service)
        surfer.go("/sign-in")
        assert "Sign in by the provider there" in surfer.text()
        sign_in_elsewhere(surfer, there, "alice", OTHER)
        surfer.arrives("/account")
        assert f"alice@{OTHER}" in surfer.text()
        # Who is signed out there under the same name is another one.
        url = f"https://localhost:{service.ports['http.https']}/sign-in/oidc/logout"
        body = urllib.parse.urlencode({"logout_token": here.logout("alice")}).encode()
        trust = ssl.create_default_context(cafile=str(service.ca))
        assert urllib.request.urlopen(urllib.request.Request(url, body), timeout=10, context=trust).status == 200
        surfer.go("/account")
        assert f"alice@{OTHER}" in surfer.text()
        there.end("alice")
        wait_until(lambda: not aors(service)[f"alice@{OTHER}"], 60, "the end of who left")
    assert aors(service)[f"alice@{DOMAIN}"], "the other one stays"


def doctor(service, check):
    done = subprocess.run([*service.command, "doctor", "--json", check], env=service.environment, capture_output=True, text=True)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_the_doctor_asks_directories(company, directory):
    code, (found,) = doctor(company, "directories")
    assert (code, found["severity"]) == (0, "ok"), found
    assert doctor(company, "providers")[1][0]["text"].startswith("no provider"), "which is no fault"
    directory.stop()
    code, (found,) = doctor(company, "directories")
    assert (code, found["severity"]) == (1, "error") and "auth.ldap.url" in found["remedy"], found


def test_the_doctor_asks_each_provider(of_two_providers):
    service, _, there = of_two_providers
    code, found = doctor(service, "providers")
    assert code == 0 and [one["severity"] for one in found] == ["note", "note"], found
    assert "no refresh token" in found[0]["text"], found
    there.process.terminate()
    there.process.wait(timeout=15)
    code, found = doctor(service, "providers")
    assert code == 1 and [one["severity"] for one in found] == ["note", "error"], found
    assert OTHER in found[1]["text"] and "jwks_uri" in found[1]["remedy"], found


def test_who_signs_out_at_the_provider_is_signed_out_of_its_browsers(federated):
    provider = federated.provider
    url = f"https://localhost:{federated.ports['http.https']}/sign-in/oidc/logout"
    trust = ssl.create_default_context(cafile=str(federated.ca))

    def tell(token):
        body = urllib.parse.urlencode({"logout_token": token}).encode()
        try:
            return urllib.request.urlopen(urllib.request.Request(url, body), timeout=10, context=trust).status
        except urllib.error.HTTPError as refused:
            return refused.code

    with Browser() as browser:
        surfer = Surfer(browser, federated)
        surfer.go("/sign-in")
        sign_in_elsewhere(surfer, provider, "alice")
        surfer.arrives("/account")
        token = provider.logout("alice")
        forged = token.rsplit(".", 1)[0] + "." + base64.urlsafe_b64encode(bytes(64)).decode().rstrip("=")
        for bad in ("", "x.y.z", forged, provider.token("alice", "jwt")):
            assert tell(bad) == 400, bad
        surfer.go("/account")
        assert "Alice of the provider" in surfer.text()
        assert tell(provider.logout("nobody")) == 200
        assert tell(token) == 200
        surfer.page.ask("Page.navigate", url=surfer.base + "/account")
        surfer.arrives("/sign-in")
    assert users(federated)["alice"]["enabled"], "signing out ends no account"


def test_a_way_back_that_this_browser_did_not_begin_signs_nobody_in(federated):
    with Browser() as browser:
        surfer = Surfer(browser, federated)
        for query in ("?code=x&state=y", "?error=access_denied&state=x", "", "?code=x&state=y&iss=https://evil.example"):
            surfer.go(f"/sign-in/oidc/callback{query}")
            assert "was not accepted" in surfer.text(), query
        assert surfer.page.value("document.cookie") == ""


@pytest.mark.parametrize("federated", [TOKENS_ALONE], indirect=True)
def test_a_client_logs_in_by_a_token_and_hears_where_good_ones_come_from(federated):
    provider = federated.provider
    heard, told = bearer(federated, provider.token("alice"))
    assert "<success" in heard, (heard, told)
    assert users(federated)["alice"]["name"] == "Alice of the provider", "an account is made by policy"
    for kind in ("opaque", "jwt"):
        heard, told = bearer(federated, provider.token("alice", kind), f"alice@{DOMAIN}")
        assert "<success" in heard, (kind, heard, told)
    assert "invalid-authzid" in bearer(federated, provider.token("alice"), f"root@{DOMAIN}")[0]
    for wrong in ("nonsense", "a.b.c", provider.token("alice", "other"), provider.token("root")):
        heard, told = bearer(federated, wrong)
        assert "not-authorized" in heard, (wrong, heard)
        assert told["status"] == "invalid_token" and told["openid-configuration"].startswith(provider.issuer)
    assert "malformed-request" in bearer(federated, "two words")[0]


def test_a_directory_that_forgets_most_people_is_not_believed(company, directory):
    names = [f"p{n}" for n in range(12)]
    for name in names:
        directory.add(name, WORD, name)
    wait_until(lambda: set(names) <= users(company).keys(), 20, "the accounts")
    directory.stop()
    directory.change_all_at_once(names, "employeeType", "left")
    directory.start()
    wait_until(lambda: "are not in the directory any more" in (company.folder / "log").read_text(), 20, "a complaint")
    assert all(users(company)[name]["enabled"] for name in names)
