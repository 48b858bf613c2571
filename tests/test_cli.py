"""
The smaller commands.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from runbook_lib.checks import CATALOGUE
from runbook_lib.cli import main
from runbook_lib.parameters import schema
from runbook_lib.sandbox import Sandbox


def test_parameters_lists_every_parameter() -> None:
    """
    Name, type, default, choices and meaning of each.
    """
    result = CliRunner().invoke(main, ["parameters"])

    assert 0 == result.exit_code
    for row in schema():
        assert f"{row.name}: {row.type} = {json.dumps(row.default)}" in result.stdout
        assert row.help() in result.stdout


def test_checks_lists_every_check() -> None:
    """
    The catalogue documents itself, in lines that fit a terminal.
    """
    result = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["checks"])
    blocks = result.stdout.strip().split("\n\n")

    assert 0 == result.exit_code
    assert [each.id for each in CATALOGUE] == [block.partition(":")[0] for block in blocks]
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert all("Guide 2016: " in block and "Service today: " in block for block in blocks)


def test_one_check_is_described_by_its_id() -> None:
    """
    A name that is none is refused with those that there are.
    """
    known, unknown = (CliRunner().invoke(main, ["checks", each]) for each in ("locks", "lock"))

    assert (0, "locks: Management locks") == (known.exit_code, known.stdout.splitlines()[0])
    assert 2 == unknown.exit_code
    assert "There is no check 'lock'" in unknown.stderr
    assert "agent-version" in unknown.stderr


def test_the_sandbox_is_reset_loaded_and_described(contoso: Sandbox, tmp_path: Path) -> None:
    """
    `load` takes an estate, `reset` puts the example back, `status` says what is there.
    """
    estate = {
        "estate": 1,
        "name": "tiny",
        "asOf": "2026-11-01T08:00:00Z",
        "profile": {},
        "resources": [
            {
                "id": "/subscriptions/11111111-1111-1111-1111-111111111111",
                "type": "Microsoft.Resources/subscriptions",
                "subscriptionId": "11111111-1111-1111-1111-111111111111",
                "displayName": "Tiny",
                "state": "Enabled",
            }
        ],
        "status": {},
    }
    (tmp_path / "tiny.json").write_text(json.dumps(estate))
    names = []
    for arguments in (["load", str(tmp_path / "tiny.json")], ["status"], ["reset"], ["status"]):
        result = CliRunner().invoke(main, ["sandbox", *arguments])

        assert 0 == result.exit_code, result.output
        names.append(json.loads(result.stdout)["estate"])

    assert ["tiny", "tiny", "contoso", "contoso"] == names


def test_an_estate_that_cannot_be_read_leaves_the_sandbox_as_it_was(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Exit code 2, one message, and nothing lost.
    """
    before = contoso.state_digest()
    result = CliRunner().invoke(main, ["sandbox", "load", str(tmp_path / "missing.json")])

    assert 2 == result.exit_code
    assert "missing.json" in result.stderr
    assert before == contoso.state_digest()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--throttle", "all"], "profile.throttle: 'all' is none of none, arm2024, backup-strict"),
        (["--latency", "1", "0.5"], "with p99 not below median"),
        (["--clock-scale", "0"], "profile.clock_scale: 0.0 must be a number from 1"),
        (["--profile", "missing.json"], "missing.json: cannot be read"),
    ],
)
def test_serve_refuses_settings_that_make_no_sense(contoso: Sandbox, options: list[str], said: str) -> None:
    """
    Exit code 2 and the setting's name, before anything listens; nothing is changed.
    """
    before = contoso.profile()
    result = CliRunner().invoke(main, ["sandbox", "serve", *options])

    assert (2, True) == (result.exit_code, said in result.stderr), result.stderr
    assert before == contoso.profile()


def test_serve_takes_its_settings_from_options_and_a_file(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Limits, latency, clock and faults; an option goes before the file.
    """
    file = tmp_path / "profile.json"
    rule = {"path": "^/subscriptions$", "status": 503, "times": 1}
    file.write_text(json.dumps({"throttle": "backup-strict", "seed": 1, "faults": [rule]}), encoding="utf-8")
    options = ["--profile", str(file), "--seed", "7", "--latency", "0.01", "0.02", "--clock-scale", "10"]
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "runbook_lib", "sandbox", "serve", *options], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = next(word for word in server.stdout.readline().split() if word.startswith("http://127.0.0.1:"))
        request = urllib.request.Request(
            f"{url}/subscriptions?api-version=2022-12-01", headers={"Authorization": "Bearer anything"}
        )
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            urllib.request.urlopen(request)
        refused.value.close()
        with urllib.request.urlopen(request) as answer:
            left = answer.headers["x-ms-ratelimit-remaining-tenant-reads"]
    finally:
        server.terminate()
        server.communicate(timeout=30)
    profile = contoso.profile()

    assert "249" == left
    assert ("backup-strict", 7, 10.0, {"median": 0.01, "p99": 0.02}) == (
        profile.throttle,
        profile.seed,
        profile.clock_scale,
        profile.latency,
    )


def test_serve_answers_on_the_loopback_interface_only_with_a_token(contoso: Sandbox) -> None:
    """
    The command says its address; a caller without a token gets 401, one with any token the estate.
    """
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "runbook_lib", "sandbox", "serve"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        url = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
        address = f"{url}/subscriptions?api-version=2022-12-01"
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            urllib.request.urlopen(address)
        refused.value.close()
        request = urllib.request.Request(address, headers={"Authorization": "Bearer anything"})
        with urllib.request.urlopen(request) as answer:
            names = {each["displayName"] for each in json.load(answer)["value"]}
    finally:
        server.terminate()
        server.communicate(timeout=30)

    assert {"Contoso Production", "Contoso Development"} == names


def test_verify_says_what_is_missing(tmp_path: Path) -> None:
    """
    A folder without an attestation is INCOMPLETE, never fine.
    """
    result = CliRunner().invoke(main, ["verify", str(tmp_path)])

    assert 1 == result.exit_code
    assert "INCOMPLETE" in result.stderr


def test_python_m_is_the_same_command() -> None:
    """
    `python -m runbook_lib` is `runbook`.
    """
    done = subprocess.run(
        [sys.executable, "-m", "runbook_lib", "--version"], capture_output=True, text=True, check=True
    )

    assert "0.1.0" in done.stdout
