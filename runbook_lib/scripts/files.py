"""
Which files a run hands out: for which VMs, what each does, and its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as resources

from runbook_lib.checks.agent import GUIDE_WINDOWS, MINIMUM
from runbook_lib.parameters import Parameters
from runbook_lib.records import Change, Inventory, VirtualMachine
from runbook_lib.scripts.quoting import fill
from runbook_lib.scripts.rules import RULES, cli_lines, powershell_lines

__all__ = ["File", "files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """
    One file of a run.

    Attributes:
        whom: id of the sentence that says whom it is for; it names `count`.
        count: of the selected VMs, or of the rules.
        does: id of the sentence that says what it does.
    """

    name: str
    whom: str
    count: int
    does: str
    content: str


def files(
    inventory: Inventory, asked: Parameters, chosen: Sequence[VirtualMachine], changes: Iterable[Change]
) -> tuple[File, ...]:
    """
    Write the files for the selected VMs, the network option and the rules of the plan.

    Args:
        changes: of the plan; those that write no rule are left out.

    Raises:
        RunbookError: a name from Azure cannot be put into a script.
    """
    windows = sum(vm.os_type != "Linux" for vm in chosen)
    linux = sum(vm.os_type != "Windows" for vm in chosen)
    values: dict[str, object] = {
        "target": inventory.target.mark,
        "proxy_host": asked.proxy_host,
        "proxy_port": asked.proxy_port,
        "guide_windows": GUIDE_WINDOWS,
        "minimum_windows": MINIMUM["Windows"],
        "minimum_linux": MINIMUM["Linux"],
    }
    made: list[File] = []

    def add(name: str, whom: str, count: int, does: str, blocks: Mapping[str, Iterable[str]] | None = None) -> None:
        language = name.rsplit(".", 1)[-1]
        content = fill(_template(name), language, values, blocks or {})
        made.append(File(name=name, whom=whom, count=count, does=does, content=content))

    if windows:
        add("agent-windows.ps1", "file.for_windows", windows, "file.agent_windows")
    if linux:
        add("agent-linux.sh", "file.for_linux", linux, "file.agent_linux")
    if asked.network_option == "http_proxy":
        if windows:
            add("proxy-windows.ps1", "file.for_windows", windows, "file.proxy_windows")
        if linux:
            add("proxy-linux.sh", "file.for_linux", linux, "file.proxy_linux")
        add("proxy-firewall-windows.ps1", "file.for_proxy", 1, "file.firewall_windows")
        add("proxy-firewall-linux.sh", "file.for_proxy", 1, "file.firewall_linux")
    if rules := [change for change in changes if change.kind in RULES]:
        add("nsg-rules.sh", "file.for_operator", len(rules), "file.rules_cli", cli_lines(inventory, rules))
        add(
            "nsg-rules.ps1",
            "file.for_operator",
            len(rules),
            "file.rules_powershell",
            powershell_lines(inventory, rules),
        )
    return tuple(made)


@cache
def _template(name: str) -> str:
    return (resources("runbook_lib.scripts") / "templates" / name).read_text(encoding="utf-8")
