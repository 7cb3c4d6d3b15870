"""A name server and an authority of the tests' own."""

import socket
import struct
import subprocess
import threading
from pathlib import Path

A, SOA, AAAA, SRV = 1, 6, 28, 33


class Zone:
    """A table behind a UDP socket."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.records = {}
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.socket.close()

    def host(self, name, address):
        self.records.setdefault((name, A), []).append(socket.inet_aton(address))

    def srv(self, name, port, target):
        self.records.setdefault((name, SRV), []).append(struct.pack("!HHH", 0, 0, port) + encoded(target))

    def announce(self, domain, host, address, port):
        """A domain's server, and that of its rooms, nodes and components."""
        self.host(host, address)
        for name in (domain, *(f"{part}.{domain}" for part in ("conference", "pubsub", "echo"))):
            self.srv(f"_xmpp-server._tcp.{name}", port, host)

    def serve(self):
        while True:
            try:
                asked, sender = self.socket.recvfrom(4096)
                self.socket.sendto(self.answer(asked), sender)
            except OSError:
                return

    def answer(self, asked):
        labels, at = [], 12
        while asked[at]:
            labels.append(asked[at + 1 : at + 1 + asked[at]].decode().lower())
            at += 1 + asked[at]
        name, question = ".".join(labels), asked[12 : at + 5]
        (kind,) = struct.unpack("!H", asked[at + 1 : at + 3])
        found = self.records.get((name, kind), [])
        is_known = any(known == name or known.endswith("." + name) for known, _ in self.records)
        answers = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data for data in found)
        # RFC 2308: how long it may be remembered that there is nothing.
        soa = b"\0\0" + struct.pack("!IIIII", 1, 60, 60, 60, 60)
        authority = b"" if found else b"\0" + struct.pack("!HHIH", SOA, 1, 60, len(soa)) + soa
        flags = 0x8580 | (0 if found or is_known else 3)
        return asked[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0 if found else 1, 0) + question + answers + authority


def encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


class Authority:
    """A CA, and what it certifies."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir()
        self.ca = self.folder / "ca.pem"
        self.openssl("req", "-x509", *KEY, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority", "-days", "9")

    def certify(self, domain):
        """The certificate and the key of a domain and its services."""
        names = ",".join(f"DNS:{name}" for name in (domain, f"*.{domain}"))
        (self.folder / f"{domain}.ext").write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        self.openssl("req", "-new", *KEY, "-keyout", f"{domain}.key", "-out", f"{domain}.csr", "-subj", f"/CN={domain}")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "9", "-extfile", f"{domain}.ext")
        self.openssl("x509", "-req", "-in", f"{domain}.csr", "-out", f"{domain}.pem", *signed)
        return self.folder / f"{domain}.pem", self.folder / f"{domain}.key"

    def openssl(self, *words):
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
