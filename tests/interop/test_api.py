"""The API, asked by a program that reads its document and tries what a person would not; and the pages in a browser."""

import os
import subprocess
import sys

import pytest

from conftest import DOMAIN


@pytest.mark.parametrize("scopes", ["account:read,account:write,directory:read", "admin:read,admin:write"])
def test_the_api_is_what_its_document_says(service, scopes):
    service.add("alice", options=("--admin",))
    token = service.run("api-token", f"alice@{DOMAIN}", "--scopes", scopes).strip()
    base = f"https://localhost:{service.ports['http.https']}/api/v1"
    # What would end the token, or leave nothing to ask, is not tried.
    spared = ["removeAccount", "changePassword", "endSession"]
    words = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", f"{base}/openapi.json"]
    words += ["--url", base, "--tls-verify", str(service.ca), "-H", f"Authorization: Bearer {token}"]
    words += ["--max-examples", "10", "--phases", "examples,coverage,fuzzing", "--seed", "1", "--suppress-health-check", "all"]
    words += ["--checks", "not_a_server_error,content_type_conformance,response_schema_conformance,status_code_conformance"]
    words += [word for name in spared for word in ("--exclude-operation-id", name)]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=300, cwd=service.folder, env={**os.environ, "SCHEMATHESIS_HOOKS": ""}
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
