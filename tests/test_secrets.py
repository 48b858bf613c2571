"""
Secrets: what opens something is taken out of texts, and nothing else is.
"""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from runbook_lib.secrets import REDACTED, public_members, redacted
from runbook_lib.text import LANGUAGES

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
    "Server=x;Password = CANARY;Encrypt=True": "CANARY",
    "user: sa\npassword: CANARY\n": "CANARY",
    "password: 'CANARY CANARY'": "CANARY",
    "sqlcmd --password CANARY --user sa": "CANARY",
    "az login --client-secret 'CANARY'": "CANARY",
    '{"password" : "CANARY"}': "CANARY",
    'password="one CANARY"': "CANARY",
    "<password>CANARY one</password>": "CANARY",
    "next=https%3A%2F%2Fx%3Fsv%3D2024%26sig%3DCANARY%252Babc%26se%3D2026": "CANARY",
    "Uid=sa;Pwd=one&CANARY;Encrypt=True": "CANARY",
    "password1=CANARY": "CANARY",
    "client-secret-value=CANARY": "CANARY",
    "user=sa pass=CANARY": "CANARY",
    "pw=CANARY": "CANARY",
    "clave=CANARY": "CANARY",
    "contraseña: CANARY": "CANARY",
    "remote ghp_CANARYabcdefghijklmnopqrstuvwxyz0123": "CANARY",
    "github_pat_CANARY0123456789_abcdefghijklmnop": "CANARY",
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
        '{"message": "password=", "after": "kept", "PASS": 3, "bypass": "yes"}',
        "https://x/?sv=2024&se=2026&compass=n",
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


@pytest.mark.parametrize("name", ["password1", "client-secret-value", "pass", "pw", "clave", "contraseña", "db_pass_2"])
def test_a_tag_says_secret_wherever_it_stands_in_its_name(name: str) -> None:
    """
    In Spanish too.
    """
    assert {name: REDACTED} == public_members({name: "x"})


def values(table: dict[str, Any]) -> Iterator[str]:
    """
    The texts in a table, however deep.
    """
    for each in table.values():
        if isinstance(each, str):
            yield each
        else:
            yield from values(each)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_runbook_says_stays(language: str) -> None:
    """
    Sentences that speak of passwords, keys and tokens hold none.
    """
    said = (files("runbook_lib.text") / f"{language}.toml").read_text(encoding="utf-8")
    sentences = list(values(tomllib.loads(said)))

    assert sentences == [redacted(each) for each in sentences]


def test_a_long_text_takes_no_longer_than_it_is_long() -> None:
    """
    Hostile text must not hold a run up: 2 MB of what nearly matches, in seconds.
    """
    began = time.monotonic()
    for piece in (
        "=password",
        "eyJaaaaaa.",
        "-----BEGIN PRIVATE KEY-----",
        "://a:",
        "bearer  ",
        "password   ",
        "--password ",
        "<password>",
        "A" * 85 + " ",
    ):
        redacted(piece * (2_000_000 // len(piece)))

    assert 20 > time.monotonic() - began
