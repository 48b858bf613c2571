"""
The scripts that a run hands out: executed where they can be, on a file system of the test's own, and read where not.
"""

from __future__ import annotations

import re
import shlex
import string
import subprocess
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import pytest
from builders import (
    PROXY,
    RANGES,
    change,
    estate,
    networked,
    nsg,
    ours,
    planned,
    proxied,
    ranged,
    rule,
    vm,
    with_records,
)
from handed_out import TEMPLATES, both, log, made, run_shell, tool
from hypothesis import given
from hypothesis import strategies as st
from support import RunMaker

from runbook_lib.errors import RunbookError
from runbook_lib.evidence import seal, verify
from runbook_lib.records import Change, Inventory
from runbook_lib.scripts.quoting import fill, posix, powershell
from runbook_lib.scripts.rules import cli_lines, powershell_lines
from runbook_lib.text import say

# What no value may do, tried in each language.
HOSTILE = (
    "plain",
    "it's",
    'a b"c',
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    "%%target%%",
    "-x",
    "$env:PATH",
    "\u2019; Remove-Item x; \u2018",
    "\u201a\u201b",
    "日本 $x",
    "\\",
    "",
)


# --- Which files --------------------------------------------------------------------------------------------------


def test_files_are_those_of_the_option_and_of_the_systems() -> None:
    """
    Nobody gets a script for a system that is not there, or for an option that was not chosen.
    """
    windows, linux = estate(), with_records(estate(), vm(os_type="Linux"))
    agent = {"agent-windows.ps1", "agent-linux.sh"}
    proxy = {f"proxy-{each}" for each in ("windows.ps1", "linux.sh", "firewall-windows.ps1", "firewall-linux.sh")}
    rules = {"nsg-rules.sh", "nsg-rules.ps1"}

    assert {"agent-windows.ps1"} == set(made(windows))
    assert {"agent-linux.sh"} == set(made(linux))
    assert agent == set(made(with_records(estate(), vm(os_type=""))))
    assert agent | proxy | rules == set(made(both(), **PROXY)) == set(TEMPLATES)
    assert proxy & set(made(linux, **PROXY)) == proxy - {"proxy-windows.ps1"}
    assert {"agent-windows.ps1"} | rules == set(made(ranged(), **RANGES))


def test_every_file_says_for_whom_it_is_and_what_it_does() -> None:
    """
    In a sentence each, with how many VMs it concerns.
    """
    found = made(both(), **PROXY)

    assert 2 == found["agent-windows.ps1"].count + found["agent-linux.sh"].count
    assert all(say(each.whom, count=each.count, doubted=0) and say(each.does) for each in found.values())
    assert all(name in each.command for name, each in found.items())


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_script_names_its_target_and_has_its_undo(name: str) -> None:
    """
    A script from a rehearsal must not pass for one of Azure; what it does can be taken back.
    """
    content = made(both(), **PROXY)[name].content

    assert "SANDBOX (simulated)" in content
    assert re.search(r"\bundo\b", content, re.IGNORECASE)
    assert "%%" not in content
    assert content.endswith("\n")
    assert "\r" not in content


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_plain_text(name: str) -> None:
    """
    ASCII without tabs, so that every editor and shell takes it for what it is; values alone may be of other scripts.
    """
    template = (resources("runbook_lib.scripts") / "templates" / name).read_text(encoding="utf-8")

    assert set(template) <= set(string.printable) - {"\t", "\r", "\x0b", "\x0c"}


# --- Quoting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", HOSTILE)
def test_a_shell_takes_a_value_for_what_it_is(value: str, tmp_path: Path) -> None:
    """
    Whatever it holds, it is one word, and nothing of it is run.
    """
    script = fill("printf %s %%value%%", "sh", {"value": value}, {})
    said = subprocess.run(["sh", "-c", script], capture_output=True, check=True, cwd=tmp_path)

    assert value == said.stdout.decode()
    assert [] == list(tmp_path.iterdir())


def _read_powershell(literal: str) -> str:
    """
    Read a literal string as PowerShell's grammar has it: a quote of any form ends it, unless another follows.
    """
    quotes = "'\u2018\u2019\u201a\u201b"
    assert literal[0] in quotes
    said, place = "", 1
    while literal[place] not in quotes or literal[place + 1 : place + 2] in tuple(quotes):
        place += 1 if literal[place] not in quotes else 2
        said += literal[place - 1]
    assert len(literal) == place + 1, "the literal ends before its last character"
    return said


def _value(extra: str = "") -> st.SearchStrategy[str]:
    hostile = st.sampled_from([*"'\"`$;%(){}\\", "\u2018", "\u2019", "\u201a", "\u201b", "ñ"])
    return st.text(st.one_of(hostile, st.characters(exclude_categories=("C", "Z"))), max_size=12)


@given(_value())
def test_no_value_ends_its_literal_in_powershell(value: str) -> None:
    """
    PowerShell has no escape in such a string but the doubled quote, and takes four more characters for a quote.
    """
    assert value == _read_powershell(powershell(value))


@given(_value())
def test_no_value_ends_its_word_in_a_shell(value: str) -> None:
    """
    What the shell's own rules make of the word is the value.
    """
    assert [value] == shlex.split(posix(value))


@pytest.mark.parametrize("quote", [posix, powershell])
@pytest.mark.parametrize("value", ["a\nb", "a\r", "a\0b", "a\x1b[2J", "a\u2028b", "a\u202eb", "\ud800"])
def test_a_value_that_commands_a_terminal_is_refused(quote: Callable[[object], str], value: str) -> None:
    """
    Whoever reads the script must see where a value ends.
    """
    with pytest.raises(RunbookError, match="control character"):
        quote(value)


def test_a_value_is_never_read_as_a_template() -> None:
    """
    Holes are filled in one pass, and an unknown one is a defect.
    """
    assert "'%%b%%' x" == fill("%%a%% %%b%%", "ps1", {"a": "%%b%%"}, {"b": ["x"]}).replace("    ", "")
    with pytest.raises(KeyError):
        fill("%%c%%", "sh", {}, {})


@pytest.mark.parametrize("value", [each for each in HOSTILE if each])
def test_a_hostile_name_of_an_nsg_stays_a_name(value: str, tmp_path: Path) -> None:
    """
    Names come from Azure; in both languages of the rules they stay one argument.
    """
    group = replace(nsg("x", rule("deny", 300)), id=f"/subscriptions/s/resourceGroups/{value}/p/{value}")
    one = replace(change_of(ranged()), target=group.id)
    world = replace(ranged(), nsgs={group.id.lower(): group})
    (line,) = cli_lines(world, [one])["apply"]
    log = tmp_path / "log"
    tool(tmp_path, "az", f'printf "%s\\n" "$@" >> {log}')
    run_shell(line, tmp_path, cwd=tmp_path)
    (there,) = powershell_lines(world, [one])["undo"]

    assert f"--nsg-name={value}" in log.read_text().splitlines()
    assert value == _read_powershell(re.search(r"-NsgName (.*) -Name ", there)[1])  # type: ignore[index]
    assert not (tmp_path / "pwned").exists()


def change_of(world: Inventory) -> Change:
    """
    The rule that is added for Storage.
    """
    return next(each for each in planned(world, **RANGES).changes if "Storage" in each.facts.get("rule", ""))


# --- The rules of the NSG -----------------------------------------------------------------------------------------


def test_the_guides_rule_is_a_command_of_today(tmp_path: Path) -> None:
    """
    One call per rule, which writes it whole and can be repeated; the undo deletes it.
    """
    tool(tmp_path, "az", f'printf "%s|" "$@" >> {tmp_path / "log"}\necho >> {tmp_path / "log"}')
    script = made(both(), **PROXY)["nsg-rules.sh"].content
    assert [0, 0] == [run_shell(script, tmp_path, each).returncode for each in ("apply", "undo")]
    apply, undo = log(tmp_path)
    place = (
        "--subscription=11111111-1111-1111-1111-111111111111|--resource-group=rg-app|--nsg-name=nsg-proxy"
        "|--name=allow-proxy|"
    )

    assert (
        f"network|nsg|rule|create|{place}--priority=200|--direction=Outbound|--access=Allow|--protocol=Tcp"
        "|--source-address-prefixes|10.0.0.9/32|--source-port-ranges|*"
        "|--destination-address-prefixes|Internet|--destination-port-ranges|80|443|"
    ) == apply
    assert f"network|nsg|rule|delete|{place}" == undo


def test_the_guides_whole_range_of_ports_is_opened_on_request_only() -> None:
    """
    80-443 is one range of 364 ports; asked for, it is planned against a denial of any of them.
    """
    asked = PROXY | {"proxy_ports": "80-443"}
    between = proxied(rule("some", 300, ports=("100-200",)))

    assert ["80-443"] == change(planned(both(), **asked), "add-security-rule").body["properties"][
        "destinationPortRanges"
    ]
    assert ["80-443"] == change(planned(between, **asked), "add-security-rule").body["properties"][
        "destinationPortRanges"
    ]
    assert [] == [each for each in planned(between, **PROXY).changes if each.step == "06"]


@pytest.mark.parametrize(
    ("rules", "note"),
    [
        ((rule("other", 200, "Allow", destinations=("Sql",)), rule("deny", 1000)), "priority_taken"),
        ((rule("deny", 150),), "priority_late"),
        ((rule("deny", 1000),), None),
    ],
)
def test_another_priority_than_the_guides_is_explained(rules: tuple[Any, ...], note: str | None) -> None:
    """
    By the rule that has 200, or that denies before it, and with the one that is planned.
    """
    plan = planned(proxied(*rules), **PROXY)
    said = [each for each in plan.notes if each["id"].startswith("priority_")]
    planned_priority = str(change(plan, "add-security-rule").facts["priority"])

    assert ([note] if note else []) == [each["id"] for each in said]
    assert [(rules[0].name, "200", planned_priority)] * len(said) == [
        (each["rule"], each["wanted"], each["priority"]) for each in said
    ]


def test_the_undo_of_an_updated_rule_puts_its_addresses_back(tmp_path: Path) -> None:
    """
    It was there before: it is not deleted.
    """
    world = estate(*networked(ours("AzureBackup", ("20.0.0.0/24", "9.9.9.0/24"), 150), rule("deny-all", 200)))
    world = replace(world, service_tags=ranged().service_tags)
    tool(tmp_path, "az", f'printf "%s " "$@" >> {tmp_path / "log"}\necho >> {tmp_path / "log"}')
    script = made(world, **RANGES)["nsg-rules.sh"].content
    run_shell(script, tmp_path, "undo")
    commands = log(tmp_path)

    assert ["delete", "delete", "create"] == [each.split()[3] for each in commands]
    assert "--name=allow-backup-ranges-AzureBackup --priority=150 " in commands[-1]
    assert "--destination-address-prefixes 20.0.0.0/24 9.9.9.0/24 --destination-port-ranges 443" in commands[-1]


# --- In a run -----------------------------------------------------------------------------------------------------


def test_the_files_of_a_run_are_written_and_sealed(make_run: RunMaker) -> None:
    """
    They are evidence: one that was changed afterwards is found out.
    """
    run = make_run(network_option="http_proxy", proxy_host="10.0.0.5")
    run.arrive("06_network")
    table = run.files()
    run.conclude()
    seal(run.folder.path)
    path = run.folder.path / "files" / "proxy-linux.sh"

    assert sorted(table.frame["file"]) == sorted(f"files/{each.name}" for each in path.parent.iterdir())
    assert () == verify(run.folder.path).problems
    path.write_text(path.read_text().replace("10.0.0.5", "10.0.0.6"))
    assert [("changed_file", "files/proxy-linux.sh")] == [
        (each.kind, each.file) for each in verify(run.folder.path).problems
    ]


def test_files_of_an_earlier_choice_are_gone(make_run: RunMaker) -> None:
    """
    Nobody runs a script for a proxy that was not chosen in the end.
    """
    run = make_run(network_option="http_proxy", proxy_host="10.0.0.5")
    run.files()
    run.asked = replace(run.asked, network_option="none")
    run.files()

    assert ["agent-linux.sh", "agent-windows.ps1"] == sorted(
        each.name for each in (run.folder.path / "files").iterdir()
    )


def test_windows_powershell_reads_the_files_as_they_were_written(make_run: RunMaker) -> None:
    """
    Without a mark at the beginning it would take UTF-8 for the machine's own code page; a shell would trip over it.
    """
    run = make_run(network_option="http_proxy", proxy_host="10.0.0.5")
    run.files()
    marks = {each.suffix: each.read_bytes()[:3] for each in (run.folder.path / "files").iterdir()}

    assert {".ps1": b"\xef\xbb\xbf", ".sh": b"#!/"} == marks


def test_the_proxy_scripts_are_for_vms_that_reach_the_proxy() -> None:
    """
    Counted without the proxy VM itself, and apart from those of which nobody can tell.
    """
    world = both()
    (holder,) = (each for each in world.nics.values() if each.name == "nic-proxy")
    with_proxy = with_records(world, vm("proxy", os_type="Linux", nic_ids=(holder.id,)))
    before, after = made(world, **PROXY), made(with_proxy, **PROXY)
    counts = [(each["proxy-linux.sh"].count, each["proxy-linux.sh"].doubted) for each in (before, after)]

    # The NICs of the other VMs are not there to be followed.
    assert [(0, 1), (0, 1)] == counts
    assert before["agent-linux.sh"].count + 1 == after["agent-linux.sh"].count


def test_the_rules_name_no_command_that_does_something_else() -> None:
    """
    What makes the same rules and leaves evidence is a run with --apply.
    """
    found = made(both(), **PROXY)

    assert all("`runbook run ... --apply`" in found[each].content for each in ("nsg-rules.sh", "nsg-rules.ps1"))
