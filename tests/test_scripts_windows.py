"""
The scripts for Windows, read: there is no PowerShell where these tests run.
"""

from __future__ import annotations

import re

import pytest
from builders import PROXY, estate
from handed_out import TEMPLATES, both, made

WINDOWS = [name for name in TEMPLATES if name.endswith(".ps1")]


def _outside_strings(script: str) -> str:
    """
    Take comments and strings out of a script, as PowerShell's own grammar finds them.
    """
    pattern = r"<#.*?#>|#[^\n]*|'(?:[^']|'')*'|\"(?:[^\"`]|`.|\"\")*\""
    return re.sub(pattern, "''", script, flags=re.DOTALL)


@pytest.mark.parametrize("name", WINDOWS)
def test_a_powershell_script_is_well_formed(name: str) -> None:
    """
    Every bracket is closed, by its own kind.
    """
    pairs = {")": "(", "]": "[", "}": "{"}
    stack: list[str] = []
    for each in _outside_strings(made(both(), **PROXY)[name].content):
        if each in pairs.values():
            stack.append(each)
        elif each in pairs:
            assert pairs[each] == stack.pop()

    assert [] == stack


@pytest.mark.parametrize("name", WINDOWS)
def test_a_powershell_script_runs_nothing_that_it_was_not_given(name: str) -> None:
    """
    No text is taken for code, the first error stops it, and an undefined name is an error.
    """
    content = made(both(), **PROXY)[name].content
    code = _outside_strings(content)

    assert not re.search(
        r"Invoke-Expression|\biex\b|ScriptBlock\]::Create|-EncodedCommand|Add-Type", code, re.IGNORECASE
    )
    assert "$ErrorActionPreference = 'Stop'" in content
    assert "Set-StrictMode -Version 2" in content


@pytest.mark.parametrize("name", WINDOWS)
def test_a_powershell_script_wants_to_be_told_what_to_do(name: str) -> None:
    """
    Its action is mandatory, every action has its branch, and Undo is one of them.
    """
    content = made(both(), **PROXY)[name].content
    (listed,) = re.findall(r"\[Parameter\(Mandatory\)\]\s+\[ValidateSet\(([^)]*)\)\]\s+\[string\]\$Action", content)
    actions = re.findall(r"'(\w+)'", listed)

    assert "Undo" in actions
    if "switch ($Action)" in content:
        branches = re.findall(r"^    '(\w+)' \{", content, re.MULTILINE)
        assert set(actions) - {"Validate"} == set(branches)
    assert ("#Requires -RunAsAdministrator" in content) == (name != "nsg-rules.ps1")


@pytest.mark.parametrize("name", WINDOWS)
def test_a_powershell_script_calls_only_what_it_defines_or_windows_has(name: str) -> None:
    """
    A slip of the pen in a name would show only in somebody's VM.
    """
    known = {
        "Add-AzNetworkSecurityRuleConfig",
        "ConvertFrom-Json",
        "ConvertTo-Json",
        "Copy-Item",
        "Format-List",
        "Get-AuthenticodeSignature",
        "Get-AzNetworkSecurityGroup",
        "Get-ChildItem",
        "Get-Content",
        "Get-Item",
        "Get-NetFirewallPortFilter",
        "Get-NetFirewallRule",
        "Get-Service",
        "Invoke-RestMethod",
        "Invoke-WebRequest",
        "Join-Path",
        "Move-Item",
        "New-Item",
        "New-ItemProperty",
        "New-NetFirewallRule",
        "Out-Null",
        "Read-Host",
        "Remove-AzNetworkSecurityRuleConfig",
        "Remove-Item",
        "Remove-ItemProperty",
        "Remove-NetFirewallRule",
        "Select-Object",
        "Set-AzContext",
        "Set-AzNetworkSecurityGroup",
        "Set-AzNetworkSecurityRuleConfig",
        "Set-Content",
        "Set-NetFirewallRule",
        "Set-StrictMode",
        "Sort-Object",
        "Start-Process",
        "Test-Path",
        "Where-Object",
        "ForEach-Object",
    }
    code = _outside_strings(made(both(), **PROXY)[name].content)
    defined = set(re.findall(r"^function ([A-Z]\w+-\w+)", code, re.MULTILINE))
    called = set(re.findall(r"(?<![\w$-])([A-Z]\w+-[A-Z]\w+)(?!\w)", code))

    assert set() == called - known - defined
    assert defined <= called


def test_the_windows_scripts_undo_what_they_do() -> None:
    """
    The proxy keeps each value before the first change, the firewall rule has a name of its own, an agent is removed
    only when its MSI was kept.
    """
    found = made(both(), **PROXY)
    proxy, firewall, agent_windows = (
        found[name].content for name in ("proxy-windows.ps1", "proxy-firewall-windows.ps1", "agent-windows.ps1")
    )

    assert proxy.index("Save-Before\n        & netsh.exe winhttp set proxy") < proxy.index(
        "Write-Value -Value $value\n"
    )
    assert "if (Test-Path -LiteralPath $Kept) { return }" in proxy
    assert {"DefaultConnectionSettings", "SavedLegacySettings", "ProxyEnable", "ProxyServer"} <= set(
        re.findall(r"Name = '(\w+)'; From", proxy)
    )
    assert 3 == len(re.findall(r"-NetFirewallRule -Name \$Name", firewall.replace("New-NetFirewallRule", "")))
    assert "$ProxyPort = '8080'" in firewall
    assert "if (-not (Test-Path -LiteralPath $Kept)) {" in agent_windows
    assert "[version]'2.6.1198.718'" in agent_windows
    assert "[version]'2.7.41491.1010'" in agent_windows


def test_the_windows_agent_is_updated_only_by_who_says_that_no_backup_runs() -> None:
    """
    The words are asked for before anything is downloaded, and the installer must be Microsoft's.
    """
    content = made(estate())["agent-windows.ps1"].content
    update = content[content.index("    'Update' {") : content.index("    'Undo' {")]

    assert "notebook 05" in update
    assert update.index("-cne $Sentence") < update.index("Get-Installer") < update.index("Start-Installer")
    assert "Get-AuthenticodeSignature" in content
    assert "O=Microsoft Corporation" in content
