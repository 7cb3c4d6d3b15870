"""slixmpp, run and not imitated: one client with one account."""

import asyncio
import ssl

import slixmpp
from conftest import PASSWORD

PLUGINS = ["xep_0030", "xep_0045", "xep_0054", "xep_0199", "xep_0004", "xep_0203", "xep_0092"]


class Chat(slixmpp.ClientXMPP):
    """A client that gathers what comes."""

    def __init__(self, name, service, password=PASSWORD, direct=False, domain=None):
        super().__init__(f"{name}@{domain or service.domain}/test", password)
        self.name = name
        self.address = service.address
        self.port = service.ports["xmpp.c2s_tls" if direct else "xmpp.c2s"]
        self.direct = direct
        self.ssl_context = ssl.create_default_context(cafile=str(service.ca))
        self.messages = []
        self.presences = []
        self.use_presence_ids = False
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self.ready = asyncio.Event()
        self.refused = asyncio.Event()
        self.ended = asyncio.Event()
        self.add_event_handler("session_start", lambda _: self.ready.set())
        self.add_event_handler("failed_auth", lambda _: self.refused.set())
        self.add_event_handler("disconnected", lambda _: self.ended.set())
        self.add_event_handler("message", self.messages.append)
        self.add_event_handler("message_error", self.messages.append)
        self.add_event_handler("presence", self.presences.append)

    async def connect(self, presence=True):
        if self.direct:
            self.enable_direct_tls, self.enable_starttls = True, False
        else:
            self.enable_direct_tls, self.enable_starttls = False, True
        super().connect(self.address, self.port)
        waiting = [asyncio.ensure_future(one.wait()) for one in (self.ready, self.refused)]
        done, rest = await asyncio.wait(waiting, timeout=15, return_when=asyncio.FIRST_COMPLETED)
        for one in rest:
            one.cancel()
        assert done, "neither logged in nor refused"
        if self.ready.is_set() and presence:
            self.send_presence()
            await self.get_roster()
        return self

    async def join(self, room):
        await self.plugin["xep_0045"].join_muc_wait(slixmpp.JID(room), self.name, timeout=10)

    async def set_role(self, room, nick, role):
        await self.plugin["xep_0045"].set_role(slixmpp.JID(room), nick, role)

    async def got(self, holds, what, seconds=10):
        """Waits for a message for which `holds`."""
        for _ in range(int(seconds * 20)):
            for message in self.messages:
                if holds(message):
                    return message
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self.name} did not get {what}; got {[str(m) for m in self.messages]}")

    async def saw(self, holds, what, seconds=10):
        """Waits for a presence for which `holds`."""
        for _ in range(int(seconds * 20)):
            for presence in self.presences:
                if holds(presence):
                    return presence
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self.name} did not see {what}; saw {[str(p) for p in self.presences]}")

    async def close(self):
        self.disconnect()
        await asyncio.wait_for(self.ended.wait(), 10)
