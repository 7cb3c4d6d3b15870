"""The pages in a browser: by hand as a person would, and aloud and on a phone as axe-core judges."""

import asyncio
import json
import urllib.parse

from browser import HERE, Browser
from chat import Chat
from conftest import DOMAIN, PASSWORD, wait_until

AXE = HERE / "node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


class Surfer:
    """One tab that goes from page to page."""

    def __init__(self, browser, service):
        self.page = browser.open("phone.html")
        self.base = f"https://localhost:{service.ports['http.https']}"

    def go(self, path):
        self.page.ask("Page.navigate", url=self.base + path)
        self.arrives(path)

    def arrives(self, path):
        def is_there():
            try:
                return self.page.value("document.readyState == 'complete' && location.pathname") == path.split("?")[0]
            except AssertionError:
                return False  # between two pages there is nobody to answer

        wait_until(is_there, 20, path)

    def fill(self, which, **fields):
        """Fills a form in, named by the end of its action or by a selector, and sends it, as its button does."""
        selector = which if which.startswith("form") else f'form[action$="{which}"]'
        form = f"document.querySelector({json.dumps(selector)})"
        for name, value in fields.items():
            self.page.value(f"{form}.elements[{json.dumps(name)}].value = {json.dumps(value)}")
        self.page.value(f"setTimeout(() => {form}.requestSubmit(), 0); 1")

    def text(self):
        return self.page.value("document.body?.innerText ?? ''")

    def is_fit(self, path):
        """Nothing that axe calls serious, light and dark; nothing wider than a small phone."""
        for scheme in ("light", "dark"):
            self.page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            self.page.value(AXE.read_text() + "; 1")
            found = self.page.value(f"axe.run({{runOnly: {json.dumps(RULES)}}}).then(it => it.violations)")
            grave = [(it["id"], [node["html"] for node in it["nodes"]]) for it in found if it["impact"] in ("serious", "critical")]
            assert not grave, (path, scheme, grave)
        self.page.ask("Emulation.setDeviceMetricsOverride", width=360, height=800, deviceScaleFactor=1, mobile=True)
        assert self.page.value("document.documentElement.scrollWidth") <= 360, f"{path} is wider than a phone"
        self.page.ask("Emulation.clearDeviceMetricsOverride")


async def chats(service, name, password):
    """A chat client logs in by what the page says."""
    await (await Chat(name, service, password).connect()).disconnect()


def test_a_person_follows_an_invitation_signs_in_again_and_changes_things(service):
    service.add("root", options=("--admin", "--name", "Root"))
    link = json.loads(service.run("--json", "invite", "create"))["link"]
    path = urllib.parse.urlparse(link).path
    with Browser() as browser:
        surfer = Surfer(browser, service)
        surfer.go(path)
        surfer.is_fit("invite")
        surfer.fill("form[method=post]", user="bob", password=PASSWORD, name="Bob")
        wait_until(lambda: "You are in, Bob" in surfer.text(), 15, "bob's account")
        surfer.is_fit("ready")
        surfer.go("/account")
        surfer.is_fit("account")
        surfer.fill("addDevice", name="PHONE")
        wait_until(lambda: "shown once" in surfer.text(), 10, "the password of a device")
        device = surfer.page.value("[...document.querySelectorAll('.note dd code')].map(it => it.innerText)")
        assert device[2] == f"bob+PHONE@{DOMAIN}"
        asyncio.run(chats(service, "bob+PHONE", device[0]))
        surfer.fill("renameAccount", name="Robert")
        wait_until(lambda: surfer.page.value("location.search") == "?done=renameAccount", 10, "the name")
        assert "Robert" in surfer.text() and "PHONE" in surfer.text()
        surfer.go("/account/setup")
        surfer.is_fit("setup")
        surfer.go("/account")
        surfer.fill("sign-out")
        surfer.arrives("/sign-in")
        surfer.is_fit("sign-in")
        surfer.fill("sign-in", user="root", password="wrong")
        wait_until(lambda: "is not right" in surfer.text(), 10, "a refusal")
        surfer.fill("sign-in", user="root", password=PASSWORD)
        surfer.arrives("/account")
        for path in ("/admin", "/admin/invites", "/admin/service"):
            surfer.go(path)
            surfer.is_fit(path)
        assert f"bob@{DOMAIN}" in surfer.text(), "the audit tells of bob"
        surfer.go("/admin")
        surfer.fill("createAccount", address=f"carol@{DOMAIN}")
        wait_until(lambda: "/invite/" in surfer.text(), 10, "a link for carol")
