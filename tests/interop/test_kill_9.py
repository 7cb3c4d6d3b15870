"""Messages that are counted while the server is killed: what was acknowledged (XEP-0198) is in the archive (XEP-0313) once, nothing twice."""

import asyncio
import signal
from collections import Counter

from chat import Chat
from conftest import DOMAIN

ROUNDS, MESSAGES = 3, 200


async def online(name, service):
    client = Chat(name, service)
    for plugin in ("xep_0198", "xep_0313", "xep_0359"):
        client.register_plugin(plugin)
    return await client.connect()


async def archive(client, with_jid):
    """Stanza ids and bodies of all that is archived with somebody."""
    found = []
    async for page in client.plugin["xep_0313"].retrieve(with_jid=with_jid, iterator=True, rsm={"max": 50}):
        for message in page["mam"]["results"]:
            found.append((message["mam_result"]["id"], message["mam_result"]["forwarded"]["stanza"]["body"]))
    return found


async def talk(alice, bob, service, first):
    """Sends until the server dies in the middle; which messages it acknowledged, and all that were sent."""
    managed = alice.plugin["xep_0198"]
    sent, sure = [], []
    alice.add_event_handler("stanza_acked", lambda stanza: sure.append(stanza["body"]) if stanza.name == "message" else None)

    def send():
        sent.append(f"number {first + len(sent)}")
        alice.send_message(f"bob@{DOMAIN}", sent[-1])

    while len(sure) < MESSAGES:
        send()
        if len(sent) % 20 == 0:
            managed.request_ack()
            await asyncio.sleep(0.02)
    await bob.got(lambda m: m["body"] == sent[0], "the first")
    for _ in range(MESSAGES):
        send()
    managed.request_ack()
    await asyncio.sleep(0.02)  # some of these are on their way, and some are not
    service.stop(signal.SIGKILL)
    for client in (alice, bob):
        await asyncio.wait_for(client.ended.wait(), 15)
    return sure, sent


def test_what_was_acknowledged_is_there_once_after_kill_9(service):
    service.add("alice", "bob")

    async def story():
        acknowledged, all_sent, had = [], [], {}
        for _ in range(ROUNDS):
            alice, bob = await online("alice", service), await online("bob", service)
            sure, sent = await talk(alice, bob, service, len(all_sent))
            acknowledged += sure
            all_sent += sent
            for message in bob.messages:
                if message["body"] and message["stanza_id"]["id"]:
                    assert had.setdefault(message["stanza_id"]["id"], message["body"]) == message["body"]
            alice.abort()
            bob.abort()
            service.start()
        bob = await online("bob", service)
        kept = await archive(bob, f"alice@{DOMAIN}")
        count = Counter(body for _, body in kept)
        assert [body for body in acknowledged if count[body] != 1] == [], "acknowledged, and not there once"
        assert [body for body in count if count[body] > 1] == [], "there twice"
        assert set(count) <= set(all_sent)
        assert len(had) > ROUNDS and had.items() <= dict(kept).items(), "what bob got is what the archive has"
        mine = await online("alice", service)
        assert [body for _, body in await archive(mine, f"bob@{DOMAIN}")] == [body for _, body in kept], "both archives say the same"
        for client in (bob, mine):
            await client.close()

    asyncio.run(story())
