"""sipp: REGISTER with Digest, and a hundred calls through the proxy, none failed."""

import subprocess
from pathlib import Path

from conftest import PASSWORD, free_port

SCENARIOS = Path(__file__).parent / "sipp"


def sipp(service, *words, port):
    target = f"127.0.0.1:{service.ports['sip.udp']}"
    command = ["sipp", target, "-i", "127.0.0.1", "-p", str(port), "-nostdin", "-trace_msg", *words]
    return subprocess.Popen(command, cwd=service.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_hundred_calls_and_none_fails(service):
    service.add("alice", "bob")
    bobs_port = free_port()
    register = sipp(service, "-sf", str(SCENARIOS / "register.xml"), "-s", "bob", "-au", "bob", "-ap", PASSWORD, "-m", "1", port=bobs_port)
    said, _ = register.communicate(timeout=30)
    assert register.returncode == 0, said
    bob = sipp(service, "-sn", "uas", port=bobs_port)
    try:
        alice = sipp(service, "-sf", str(SCENARIOS / "call.xml"), "-au", "alice", "-ap", PASSWORD, "-m", "100", "-r", "25", port=free_port())
        said, _ = alice.communicate(timeout=60)
        assert alice.returncode == 0, said[:3000]
    finally:
        bob.terminate()
        bob.communicate(timeout=15)
    assert 'sip_server_calls_total 100' in service.metrics()
