"""What `cusax demo` prints works as it is printed."""

import re
import subprocess
import sys

from conftest import BINARY


def test_the_chat_that_the_demo_prints_says_something_and_ends():
    demo = subprocess.Popen([BINARY, "demo"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        printed = []
        while not (printed and printed[-1].startswith("Data")):
            line = demo.stdout.readline()
            assert line, "the demo ended"
            printed.append(line)
        command = next(line for line in printed if "$v/bin/python -c" in line)
        assert any("python3 -m venv $v && $v/bin/pip install -q slixmpp" in line for line in printed)
        # The environment of these tests has what the printed line before this one installs.
        run = command.replace("$v/bin/python", sys.executable)
        said = subprocess.run(run, shell=True, capture_output=True, text=True, timeout=30)
        assert said.returncode == 0, said.stderr
        assert re.search(r"lounge@conference.localhost/bob says hello from bob", said.stdout), said.stdout
    finally:
        demo.terminate()
        demo.wait(10)
