"""From an invitation to a word with somebody else in one browser, by what the pages lead to alone: converse.js, served and set up by us."""

import asyncio
import json
import urllib.parse

import pytest
from browser import HERE, Browser
from chat import Chat
from conftest import DOMAIN, PASSWORD, ROOMS, Service, wait_until
from test_pages import Surfer

DIST = HERE / "node_modules/converse.js/dist"
ROOM = f"dev@{ROOMS}"


@pytest.fixture
def served(tmp_path):
    running = Service(tmp_path, CUSAX_PROVISIONING__WEB_CLIENT_FILES=str(DIST)).start()
    yield running
    running.stop()


def watch(surfer):
    """Notes what a page may not do; what it asks the browser notes itself."""
    source = "window.refused = []; addEventListener('securitypolicyviolation', it => refused.push(`${it.violatedDirective} ${it.blockedURI}`))"
    surfer.page.ask("Page.addScriptToEvaluateOnNewDocument", source=source)


def asked(surfer):
    return surfer.page.value("[...new Set(performance.getEntriesByType('resource').map(it => new URL(it.name).host))]")


def click(surfer, selector):
    surfer.page.value(f"setTimeout(() => document.querySelector({json.dumps(selector)}).click(), 0); 1")


def write(surfer, text):
    """Types into the chat that is open, and sends it as the key does."""
    box = "[...document.querySelectorAll('.chat-textarea')].find(it => it.offsetParent)"
    wait_until(lambda: surfer.is_there(box), 20, "a place to write")
    surfer.page.value(f"""
        var box = {box};
        box.focus(), box.value = {json.dumps(text)}, box.dispatchEvent(new Event('input', {{ bubbles: true }}));
        box.dispatchEvent(new KeyboardEvent('keydown', {{ key: 'Enter', keyCode: 13, bubbles: true, cancelable: true }}));
        1""")


def test_an_invitation_leads_to_a_chat_in_the_browser(served):
    served.add("bob")
    served.run("room", "add", ROOM, "--owner", f"bob@{DOMAIN}")
    link = json.loads(served.run("--json", "invite", "create"))["link"]

    async def story(surfer):
        do = asyncio.to_thread
        bob = await Chat("bob", served).connect()
        await do(surfer.go, urllib.parse.urlparse(link).path)
        surfer.fill("form[method=post]", user="carol", password=PASSWORD, name="Carol")
        await do(wait_until, lambda: "You are in, Carol" in surfer.text(), 15, "carol's account")
        assert surfer.is_there(f"document.querySelector('a[href=\"xmpp:carol@{DOMAIN}\"]')"), "for apps as before"
        assert surfer.page.value("document.querySelector('a[href*=\"/chat/\"]').getAttribute('href')") == f"{surfer.base}/chat/#jid=carol%40{DOMAIN}"
        click(surfer, 'a[href*="/chat/"]')
        await do(surfer.arrives, "/chat/")
        form = "document.querySelector('#converse-login')"
        await do(wait_until, lambda: surfer.is_there(f"{form}?.elements.jid.value == 'carol'"), 30, "the form, with her name")
        assert surfer.page.value("location.hash") == ""
        surfer.page.value(f"{form}.elements.password.value = {json.dumps(PASSWORD)}; setTimeout(() => {form}.requestSubmit(), 0); 1")
        await do(wait_until, lambda: surfer.is_there("document.querySelector('converse-user-profile, .userinfo')"), 30, "carol signed in")
        surfer.page.value(f"location.hash = '#converse/chat?jid=bob@{DOMAIN}'; 1")
        await do(write, surfer, "hello from the browser")
        got = await bob.got(lambda message: message["body"] == "hello from the browser", "what she writes")
        assert got["from"].bare == f"carol@{DOMAIN}"
        text = f"welcome, call tel:+33123456789 or come to xmpp:{ROOM}?join"
        bob.send_message(f"carol@{DOMAIN}", text, mtype="chat")
        await do(wait_until, lambda: "welcome, call" in surfer.text(), 20, "what he answers")
        # What the message says of calls and rooms is as others read it: the room's link opens the room here.
        await bob.join(ROOM)
        surfer.page.value(f"location.hash = '#converse/room?jid={ROOM}'; 1")
        await do(wait_until, lambda: surfer.is_there("document.querySelector('converse-muc .chat-textarea')"), 40, "the room")
        await do(write, surfer, "in the room")
        got = await bob.got(lambda message: message["body"] == "in the room", "what she says there", seconds=20)
        assert got["from"] == f"{ROOM}/carol"
        await bob.close()
        assert await do(surfer.page.value, "refused") == []
        assert await do(asked, surfer) == [f"localhost:{served.ports['http.https']}"], "nobody else is asked"

    with Browser() as browser:
        surfer = Surfer(browser, served)
        watch(surfer)
        asyncio.run(story(surfer))


def test_the_client_speaks_as_the_page_does(served):
    served.add("alice")
    with Browser() as browser:
        surfer = Surfer(browser, served)
        watch(surfer)
        surfer.page.ask("Network.enable")
        surfer.page.ask("Network.setExtraHTTPHeaders", headers={"Accept-Language": "de"})
        surfer.go("/chat/")
        wait_until(lambda: "Anmelden" in surfer.text(), 30, "a German form")
        assert surfer.page.value("refused") == []
