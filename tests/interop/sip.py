"""A small SIP user agent for transports that no packaged phone speaks: it registers by Digest, calls, and is called."""

import asyncio
import hashlib
import re
import socket
import ssl
import threading
import uuid

from conftest import DOMAIN, PASSWORD
from websockets.asyncio.client import connect

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"


class Message:
    """One message as it stands on the wire."""

    def __init__(self, text):
        head, _, self.body = text.partition("\r\n\r\n")
        self.start, *lines = head.split("\r\n")
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]

    def all(self, name):
        return [value for known, value in self.headers if known.lower() == name.lower()]

    def __getitem__(self, name):
        return self.all(name)[0]

    @property
    def is_request(self):
        return not self.start.startswith("SIP/2.0")

    @property
    def word(self):
        """The method of a request, the status of a response."""
        return self.start.split()[0 if self.is_request else 1]

    @property
    def uri(self):
        return self.start.split()[1]


class Wss:
    """A WebSocket over TLS (RFC 7118): it does not know its own address.

    One thread reads and writes the TLS connection, since Python's must not be used by two at once.
    """

    sent_by, via, contact = "q7a1x.invalid", "WSS", "sip:{}@q7a1x.invalid;transport=ws"

    def __init__(self, service):
        trust = ssl.create_default_context(cafile=str(service.folder / "data/tls/ca.pem"))
        uri = f"wss://localhost:{service.ports['http.https']}/sip"
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.socket = self.run(self.connect(uri, trust))
        assert self.socket.subprotocol == "sip"

    @staticmethod
    async def connect(uri, trust):
        return await connect(uri, ssl=trust, subprotocols=["sip"], compression=None)

    def run(self, step):
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(step, 15), self.loop).result()

    def send(self, text):
        self.run(self.socket.send(text))

    def receive(self):
        frame = self.run(self.socket.recv())
        return frame if isinstance(frame, str) else frame.decode()

    def close(self):
        self.run(self.socket.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class Udp:
    """A datagram socket."""

    via = "UDP"

    def __init__(self, service):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(15)
        self.server = ("127.0.0.1", service.ports["sip.udp"])
        self.sent_by = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.contact = "sip:{}@" + self.sent_by

    def send(self, text):
        self.socket.sendto(text.encode(), self.server)

    def receive(self):
        return self.socket.recv(65535).decode()

    def close(self):
        self.socket.close()


class Agent:
    """One user behind one carrier."""

    def __init__(self, name, carrier, password=PASSWORD):
        self.name, self.carrier, self.password, self.cseq = name, carrier, password, 0
        self.aor = f"sip:{name}@{DOMAIN}"
        self.contact = carrier.contact.format(name)

    def close(self):
        self.carrier.close()

    def receive(self, *words):
        """The next message that is no 100; it must be one of these, if any are given."""
        while True:
            message = Message(self.carrier.receive())
            if message.word != "100":
                assert not words or message.word in words, f"{self.name}: {message.start}"
                return message

    def send(self, method, uri, headers, body="", cseq=None):
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.carrier.via} {self.carrier.sent_by};rport;branch=z9hG4bK{uuid.uuid4().hex}",
            "Max-Forwards: 70",
            f"CSeq: {cseq} {method}",
            f"Contact: <{self.contact}>",
            *headers,
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self.carrier.send("\r\n".join(lines) + "\r\n\r\n" + body)

    def ask(self, method, uri, headers, body=""):
        """Sends a request, answers its challenge, and returns what came then."""
        self.send(method, uri, headers, body)
        challenge = self.receive()
        if challenge.word not in ("401", "407"):
            return challenge
        asked, answer = {
            "401": ("WWW-Authenticate", "Authorization"),
            "407": ("Proxy-Authenticate", "Proxy-Authorization"),
        }[challenge.word]
        if method == "INVITE":
            # The ACK of a refusal belongs to its transaction, and so has its branch (RFC 3261 §17.1.1.3).
            via = re.sub(r";(received|rport)=[^;]*", "", challenge["Via"])
            head = [f"ACK {uri} SIP/2.0", f"Via: {via}", "Max-Forwards: 70", f"CSeq: {self.cseq} ACK"]
            head += [line for line in headers if line.startswith(("From", "Call-ID"))] + [f"To: {challenge['To']}"]
            self.carrier.send("\r\n".join([*head, "Content-Length: 0"]) + "\r\n\r\n")
        proof = self.digest(method, uri, challenge.all(asked))
        self.send(method, uri, [*headers, f"{answer}: {proof}"], body)
        return self.receive()

    def digest(self, method, uri, challenges):
        fields = next(
            dict(re.findall(r'(\w+)="?([^",]+)"?', challenge)) for challenge in challenges if "SHA-256" in challenge
        )

        def hashed(text):
            return hashlib.sha256(text.encode()).hexdigest()

        secret = hashed(f"{self.name}:{fields['realm']}:{self.password}")
        response = hashed(f"{secret}:{fields['nonce']}:00000001:c:auth:{hashed(f'{method}:{uri}')}")
        return (
            f'Digest username="{self.name}", realm="{fields["realm"]}", nonce="{fields["nonce"]}", uri="{uri}", '
            f'response="{response}", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="c"'
        )

    def register(self):
        headers = [f"From: <{self.aor}>;tag=r", f"To: <{self.aor}>", f"Call-ID: {uuid.uuid4()}", "Expires: 600"]
        return self.ask("REGISTER", f"sip:{DOMAIN}", headers)

    def respond(self, request, status, body=""):
        tag = "" if ";tag=" in request["To"] else f";tag={self.name}"
        lines = [
            f"SIP/2.0 {status}",
            *(f"Via: {via}" for via in request.all("Via")),
            *(f"Record-Route: {route}" for route in request.all("Record-Route")),
            f"From: {request['From']}",
            f"To: {request['To']}{tag}",
            f"Call-ID: {request['Call-ID']}",
            f"CSeq: {request['CSeq']}",
            f"Contact: <{self.contact}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self.carrier.send("\r\n".join(lines) + "\r\n\r\n" + body)


def routes(message, backwards):
    """The route set that a message with Record-Route gives its reader (RFC 3261 §12.1)."""
    all_routes = [route for value in message.all("Record-Route") for route in re.findall(r"<[^>]+>", value)]
    return [f"Route: {route}" for route in (reversed(all_routes) if backwards else all_routes)]


def contact(message):
    return re.search(r"<([^>]+)>", message["Contact"]).group(1)
