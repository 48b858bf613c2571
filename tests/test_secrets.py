"""
Secrets: what opens something is taken out of texts, and nothing else is.
"""

from __future__ import annotations

import json
import time

import pytest

from runbook_lib.secrets import REDACTED, public_members, redacted

KEY = "Aa1+/bCd" * 10 + "Aa1+/b"
CASES = {
    "https://x.blob.core.windows.net/c/b?sv=2024-01-01&sig=CANARY%2Babc&se=2026": "CANARY",
    "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=CANARYabc/def==;EndpointSuffix=y": "CANARYabc/def",
    "Endpoint=sb://x;SharedAccessKeyName=n;SharedAccessKey=CANARY=": "CANARY",
    "Server=tcp:x;User ID=sa;Password=CANARY!9;Encrypt=True": "CANARY!9",
    "authorization: Bearer CANARY.def-ghi_jkl": "CANARY.def-ghi_jkl",
    "Authorization: Basic CANARYdXNlcjpwdw==": "CANARYdXNlcjpwdw",
    "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJDQU5BUlkifQ.CANARY_x-y was refused": "CANARY",
    f"the key {KEY}== is not valid": KEY,
    "client secret CaN8Q~ARY_abcdefghijklmnopqrstuvwxyz01234": "CaN8Q~ARY",
    "https://operator:CANARYpw@proxy.example/": "CANARYpw",
    '{"adminPassword": "CANARY", "next": 1}': "CANARY",
    '{\\"client_secret\\": \\"CANARY\\"}': "CANARY",
    "'x-api-key':'CANARY'": "CANARY",
    "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----": "CANARY",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nCANARY cut off": "CANARY",
}


@pytest.mark.parametrize("text", CASES)
def test_what_opens_something_is_taken_out(text: str) -> None:
    """
    Signed URLs, keys, tokens, connection strings, passwords; also once more, and inside JSON, which stays JSON.
    """
    shown = redacted(text)

    assert CASES[text] not in shown
    assert REDACTED in shown
    assert shown == redacted(shown)
    inside = redacted(json.dumps({"message": text, "after": "kept"}))
    assert CASES[text] not in inside
    assert "kept" == json.loads(inside)["after"]
    twice = redacted(json.dumps({"message": json.dumps({"message": text})}))
    assert json.loads(twice)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The agent is Not Ready: design=ok, monkey=5, sigma=2, $skiptoken=abc",
        "/subscriptions/0/providers/Microsoft.KeyVault/vaults/kv/secrets/x",
        '{"secret_vaults": ["kv"], "key_vaults": ["kv"], "tokens": 5, "disablePasswordAuthentication": true}',
        "Basic load balancers have no outbound rules; a password must not be a parameter.",
        "sha256:" + "0123456789abcdef" * 4,
        "iVBORw0KGgo" + "A" * 500 + "==",
        "https://management.azure.com:443/subscriptions",
    ],
)
def test_what_opens_nothing_stays(text: str) -> None:
    """
    A sentence, an id or a digest that only looks a little like it is evidence.
    """
    assert text == redacted(text)


def test_a_tag_whose_name_says_secret_has_no_value() -> None:
    """
    Whatever its value looks like; other tags keep theirs.
    """
    given = {"db-password": "x", "ApiKey": "y", "owner": "ana", "note": "sig=abc", "empty-token": "", "monkey": "k"}
    kept = {"owner": "ana", "empty-token": "", "monkey": "k"}

    assert kept | {"db-password": REDACTED, "ApiKey": REDACTED, "note": f"sig={REDACTED}"} == public_members(given)


def test_a_long_text_takes_no_longer_than_it_is_long() -> None:
    """
    Hostile text must not hold a run up: 2 MB of what nearly matches, in seconds.
    """
    began = time.monotonic()
    for piece in ("=password", "eyJaaaaaa.", "-----BEGIN PRIVATE KEY-----", "://a:", "bearer  ", "A" * 85 + " "):
        redacted(piece * (2_000_000 // len(piece)))

    assert 20 > time.monotonic() - began
