"""A server that is out of descriptors says so once for each listener, and goes on when there are some again."""

import os
import resource
import socket
import ssl

from conftest import DOMAIN, wait_until


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_listeners_without_descriptors_say_so_once_and_wait(service):
    pid, log = service.process.pid, service.folder / "log"
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_files(pid), before[1]))
    said = ["a SIP connection could not be accepted", "an HTTP connection could not be accepted", "a connection could not be accepted"]
    waiting = []
    for listener in ("sip.tcp", "http.https", "xmpp.c2s"):
        waiting += [socket.create_connection(("127.0.0.1", service.ports[listener])) for _ in range(3)]
    wait_until(lambda: all(line in log.read_text() for line in said), 10, "a word of each listener")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    sip, https, xmpp = waiting[::3]
    for one in waiting:
        one.settimeout(10)
    sip.sendall(
        b"OPTIONS sip:localhost SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nTo: <sip:localhost>\r\n"
        b"From: <sip:a@h>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    assert sip.recv(4096).startswith(b"SIP/2.0 200")
    with ssl.create_default_context(cafile=str(service.ca)).wrap_socket(https, server_hostname=DOMAIN) as page:
        page.sendall(b"GET /sign-in HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert page.recv(4096).startswith(b"HTTP/1.1 200")
    xmpp.sendall(f"<stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>".encode())
    assert b"<stream:stream" in xmpp.recv(4096)
    for line in said:
        assert log.read_text().count(line) == 1, line
    for one in waiting:
        one.close()
