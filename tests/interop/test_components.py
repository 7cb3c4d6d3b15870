"""A program of its own behind XEP-0114: slixmpp's component, which answers what a user of ours says."""

import asyncio

import slixmpp
from chat import Chat
from conftest import DOMAIN, Service

NAME, SECRET = f"echo.{DOMAIN}", "between-us"


class Echo(slixmpp.ComponentXMPP):
    def __init__(self, port, secret=SECRET):
        super().__init__(NAME, secret, "127.0.0.1", port)
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.add_event_handler("session_start", lambda _: self.ready.set())
        self.add_event_handler("disconnected", lambda _: self.ended.set())
        self.add_event_handler("message", lambda message: message.reply(message["body"].upper()).send())


def test_a_component_answers_users(tmp_path):
    (tmp_path / "secret").write_text(SECRET + "\n")
    service = Service(
        tmp_path,
        CUSAX_XMPP__COMPONENTS="127.0.0.1:0",
        CUSAX_XMPP__COMPONENT=f'[{{ domain = "{NAME}", secret_file = "{tmp_path / "secret"}" }}]',
    ).start()
    try:
        service.add("alice")

        async def story():
            port = service.ports["xmpp.components"]
            echo = Echo(port)
            echo.connect()
            await asyncio.wait_for(echo.ready.wait(), 10)
            alice = await Chat("alice", service).connect()
            alice.send_message(f"anybody@{NAME}", "quiet", mtype="chat")
            got = await alice.got(lambda m: m["body"] == "QUIET", "the echo")
            assert got["from"] == f"anybody@{NAME}"
            items = await alice.plugin["xep_0030"].get_items(DOMAIN)
            assert any(jid == NAME for jid, _, _ in items["disco_items"]["items"])
            # One that does not know the secret has no session.
            stranger = Echo(port, "guessed")
            stranger.connect()
            await asyncio.wait_for(stranger.ended.wait(), 10)
            assert not stranger.ready.is_set()
            stranger.abort()
            await alice.close()
            echo.disconnect()
            await asyncio.wait_for(echo.ended.wait(), 10)

        asyncio.run(story())
        assert "xmpp_server_component_received_total 1" in service.metrics()
    finally:
        service.stop()
