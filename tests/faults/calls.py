"""
Every ARM call of the job: which requests it is, what it does, and what may be gone in the middle of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from faults.estate import GROUP, NEW_VAULT, NSG, OLD_VAULT, ONE, POLICY, TWO, VM

__all__ = ["CALLS", "Call"]

_BACKUP = r"/vaults/[^/]+"
_COMPUTE = r"/providers/microsoft\.compute"
_NETWORK = r"/providers/microsoft\.network"
_RSV = r"/providers/microsoft\.recoveryservices"
_IN_SCOPE = r"^/subscriptions/[^/]+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    One call of the job.

    Args:
        does: `list` or `read`, what the inventory rests on; `ask`, a question that nothing rests on; `write`; or
            `poll`, the wait for a write.
        path: a regular expression that is searched in the lower-cased path.
        stage: the state that the estate is in when its cells begin.
        family: whose bodies its errors have.
        gone: what may disappear in the middle of the job, so that the call misses it.
        lasts: whether it starts an operation.
        skip: how many requests of the same path come first.
        needed: whether a VM that is to be protected needs it.
        led_by: the write whose lost answer leads to it; empty where the job makes it anyway.
        denied: the subscription that is denied where only one is.
        thorough: whether it meets every variant of every fault; the others meet one of each, in turns.
    """

    name: str
    does: str
    method: str = "GET"
    path: str
    stage: str = "ready"
    family: str = "arm"
    gone: tuple[str, ...] = ()
    lasts: bool = False
    skip: int = 0
    thorough: bool = False
    denied: str = TWO
    needed: bool = True
    led_by: str = ""

    def meets(self, method: str, url: str) -> bool:
        """
        Tell whether a request is one of the call's, by its method and its URL or path.
        """
        return method == self.method and re.search(self.path, unquote(urlsplit(url).path).lower()) is not None


def _listed(name: str, path: str, **more: object) -> Call:
    return Call(name=name, does="list", path=f"{_IN_SCOPE}{path}$", **more)  # type: ignore[arg-type]


CALLS = (
    Call(name="subscriptions", does="list", path="^/subscriptions$"),
    Call(name="provider", does="read", path=f"{_IN_SCOPE}{_RSV}$", stage="new"),
    _listed("groups", "/resourcegroups", stage="new", gone=(GROUP,)),
    _listed("locations", "/locations"),
    _listed("vm-statuses", f"{_COMPUTE}/virtualmachines", family="compute", gone=(VM,)),
    _listed("vms", f"{_COMPUTE}/virtualmachines", family="compute", gone=(VM,), skip=1, thorough=True),
    _listed("disks", f"{_COMPUTE}/disks", family="compute", denied=ONE),
    _listed("locks", r"/providers/microsoft\.authorization/locks"),
    _listed("vnets", f"{_NETWORK}/virtualnetworks", family="network", stage="closed"),
    _listed("nics", f"{_NETWORK}/networkinterfaces", family="network", stage="closed"),
    _listed("nsgs", f"{_NETWORK}/networksecuritygroups", family="network", stage="closed", gone=(NSG,)),
    _listed("route-tables", f"{_NETWORK}/routetables", family="network", stage="closed"),
    _listed("public-ips", f"{_NETWORK}/publicipaddresses", family="network", stage="closed"),
    _listed("load-balancers", f"{_NETWORK}/loadbalancers", family="network", stage="closed", denied=ONE),
    _listed("vaults", f"{_RSV}/vaults", stage="new", gone=(OLD_VAULT,)),
    Call(name="vault", does="read", path=f"{_BACKUP}$", gone=(NEW_VAULT,)),
    Call(name="storage-config", does="read", path="/vaultstorageconfig$", family="backup"),
    Call(name="policies", does="list", path="/backuppolicies$", family="backup", gone=(POLICY,)),
    Call(name="items", does="list", path="/backupprotecteditems$", family="backup", gone=(NEW_VAULT,), thorough=True),
    Call(name="jobs", does="list", path="/backupjobs$", family="backup"),
    Call(name="permissions", does="ask", path=r"/microsoft\.authorization/permissions$"),
    Call(name="roles", does="ask", path=r"/microsoft\.authorization/roledefinitions$"),
    Call(name="features", does="ask", method="POST", path="/backupvalidatefeatures$", family="backup"),
    Call(name="backup-status", does="ask", method="POST", path="/backupstatus$", family="backup"),
    Call(name="prevalidate", does="ask", method="POST", path="/backupprevalidateprotection$", family="backup"),
    Call(
        name="effective-rules",
        does="ask",
        method="POST",
        path="/effectivenetworksecuritygroups$",
        family="network",
        stage="closed",
    ),
    Call(
        name="effective-routes",
        does="ask",
        method="POST",
        path="/effectiveroutetable$",
        family="network",
        stage="closed",
    ),
    Call(
        name="effective-result",
        does="ask",
        path=f"{_NETWORK}/locations/[^/]+/operationresults/",
        family="network",
        stage="closed",
    ),
    Call(name="register", does="write", method="POST", path=f"{_RSV}/register$", stage="new"),
    Call(name="group", does="write", method="PUT", path=f"{_IN_SCOPE}/resourcegroups/[^/]+$", stage="new"),
    Call(
        name="create-vault",
        does="write",
        method="PUT",
        path=f"{_BACKUP}$",
        stage="new",
        gone=(GROUP,),
        lasts=True,
        thorough=True,
    ),
    Call(name="vault-operation", does="poll", path="/operationstatus/", stage="new", gone=(NEW_VAULT,)),
    Call(
        name="set-redundancy",
        does="write",
        method="PATCH",
        path=f"{_BACKUP}$",
        stage="new",
        gone=(NEW_VAULT,),
        lasts=True,
    ),
    Call(
        name="create-policy",
        does="write",
        method="PUT",
        path="/backuppolicies/[^/]+$",
        stage="new",
        family="backup",
        gone=(NEW_VAULT,),
    ),
    Call(
        name="discover",
        does="write",
        method="POST",
        path="/refreshcontainers$",
        family="backup",
        gone=(NEW_VAULT,),
        lasts=True,
        needed=False,
    ),
    Call(name="discovery", does="poll", path="/backupfabrics/azure/operationsstatus/", family="backup"),
    Call(
        name="protect",
        does="write",
        method="PUT",
        path="/protecteditems/[^/]+$",
        family="backup",
        gone=(VM, POLICY, NEW_VAULT),
        lasts=True,
        thorough=True,
    ),
    Call(name="protection", does="poll", path="/protecteditems/.*/operationsstatus/", family="backup", gone=(VM,)),
    Call(
        name="add-rule",
        does="write",
        method="PUT",
        path="/securityrules/[^/]+$",
        family="network",
        stage="closed",
        gone=(NSG,),
        lasts=True,
    ),
    Call(
        name="rule-operation",
        does="poll",
        path=f"{_NETWORK}/locations/[^/]+/operations/",
        family="network",
        stage="closed",
    ),
    # What was written is read again where its answer was lost.
    Call(name="read-group", does="poll", path=f"{_IN_SCOPE}/resourcegroups/[^/]+$", stage="new", led_by="group"),
    Call(name="read-vault", does="poll", path=f"{_BACKUP}$", stage="new", gone=(NEW_VAULT,), led_by="create-vault"),
    Call(name="read-policy", does="poll", path="/backuppolicies/[^/]+$", stage="new", led_by="create-policy"),
    Call(name="read-item", does="poll", path="/protecteditems/[^/]+$", family="backup", gone=(VM,), led_by="protect"),
    Call(
        name="read-nsg",
        does="poll",
        path="/networksecuritygroups/[^/]+$",
        stage="closed",
        family="network",
        gone=(NSG,),
        led_by="add-rule",
    ),
)
