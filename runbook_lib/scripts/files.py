"""
Which files a run hands out: for which VMs, what each does, and its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as resources

from runbook_lib.checks.agent import GUIDE_WINDOWS, MINIMUM
from runbook_lib.checks.network import proxy_clients
from runbook_lib.parameters import Parameters
from runbook_lib.records import Change, Inventory, VirtualMachine
from runbook_lib.scripts.quoting import fill
from runbook_lib.scripts.rules import RULES, cli_lines, powershell_lines

__all__ = ["File", "files"]

# How each is run in its first use; the head of the file has the others.
COMMANDS = {
    "agent-windows.ps1": r".\agent-windows.ps1 -Action Install",
    "agent-linux.sh": "sudo sh agent-linux.sh install",
    "proxy-windows.ps1": r".\proxy-windows.ps1 -Action Apply -CopyFromUser",
    "proxy-linux.sh": "sudo sh proxy-linux.sh apply",
    "proxy-firewall-windows.ps1": r".\proxy-firewall-windows.ps1 -Action Apply",
    "proxy-firewall-linux.sh": "sudo sh proxy-firewall-linux.sh apply",
    "nsg-rules.sh": "sh nsg-rules.sh apply",
    "nsg-rules.ps1": r".\nsg-rules.ps1 -Action Apply",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """
    One file of a run.

    Attributes:
        whom: id of the sentence that says whom it is for; it names `count`.
        count: of the selected VMs, or of the rules.
        does: id of the sentence that says what it does.
        command: which runs it.
        doubted: of the VMs that may reach the proxy or not.
    """

    name: str
    whom: str
    count: int
    does: str
    command: str
    doubted: int = 0
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
    windows, linux = _windows(chosen), _linux(chosen)
    values: dict[str, object] = {
        "target": inventory.target.mark,
        "proxy_host": asked.proxy_host,
        "proxy_port": asked.proxy_port,
        "guide_windows": GUIDE_WINDOWS,
        "minimum_windows": MINIMUM["Windows"],
        "minimum_linux": MINIMUM["Linux"],
    }
    made: list[File] = []

    def add(
        name: str, whom: str, count: int, does: str, blocks: Mapping[str, Iterable[str]] | None = None, **facts: int
    ) -> None:
        language = name.rsplit(".", 1)[-1]
        content = fill(_template(name), language, values, blocks or {})
        made.append(
            File(name=name, whom=whom, count=count, does=does, command=COMMANDS[name], content=content, **facts)
        )

    if windows:
        add("agent-windows.ps1", "file.for_windows", windows, "file.agent_windows")
    if linux:
        add("agent-linux.sh", "file.for_linux", linux, "file.agent_linux")
    if asked.network_option == "http_proxy":
        clients = proxy_clients(inventory, chosen, asked)
        reach = [vm for vm, reaches in clients if reaches]
        doubt = [vm for vm, reaches in clients if reaches is None]
        if windows:
            whom = "file.for_windows_clients"
            add("proxy-windows.ps1", whom, _windows(reach), "file.proxy_windows", doubted=_windows(doubt))
        if linux:
            add("proxy-linux.sh", "file.for_linux_clients", _linux(reach), "file.proxy_linux", doubted=_linux(doubt))
        add("proxy-firewall-windows.ps1", "file.for_proxy", 1, "file.firewall_windows")
        add("proxy-firewall-linux.sh", "file.for_proxy", 1, "file.firewall_linux")
    if rules := [change for change in changes if change.kind in RULES]:
        whom, count = "file.for_operator", len(rules)
        add("nsg-rules.sh", whom, count, "file.rules_cli", cli_lines(inventory, rules))
        add("nsg-rules.ps1", whom, count, "file.rules_powershell", powershell_lines(inventory, rules))
    return tuple(made)


def _windows(vms: Iterable[VirtualMachine]) -> int:
    # Where nobody says which system it is, it may be either.
    return sum(vm.os_type != "Linux" for vm in vms)


def _linux(vms: Iterable[VirtualMachine]) -> int:
    return sum(vm.os_type != "Windows" for vm in vms)


@cache
def _template(name: str) -> str:
    return (resources("runbook_lib.scripts") / "templates" / name).read_text(encoding="utf-8")
