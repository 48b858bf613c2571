"""
How a check says what it found. Imports `records`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from runbook_lib.records import Finding, Status, VirtualMachine

__all__ = ["GUEST", "result"]

# Case of a finding that is UNKNOWN because nothing outside of the guest can tell: it keeps no VM back, for nobody
# could ever clear it.
GUEST = "guest"


def result(
    check: str, vm: VirtualMachine, status: Status, case: str, *, guide: Status | None = None, **facts: Any
) -> Finding:
    """
    Make the finding of a check on a VM.

    Args:
        status: by today's rule.
        guide: by the rule of 2016, where it differs from today's; NOT NEEDED where the guide has none.
    """
    return Finding(
        check=check,
        resource=vm.id,
        status=status,
        guide=status if guide is None else guide,
        case=case,
        facts=_shared(tuple(facts), *facts.values()),
    )


@lru_cache(maxsize=4096, typed=True)
def _shared(names: tuple[str, ...], *values: Any) -> dict[str, Any]:
    """
    Return the same mapping for the same facts: what is said of 50,000 VMs is mostly the same.
    """
    return dict(zip(names, values, strict=True))
