"""
Every case of the checks on limitations, vaults, policies, locks and the agent's surroundings, by what makes it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from builders import (
    HELD,
    HOME,
    NOW,
    ONE,
    TWO,
    arm_id,
    estate,
    gap,
    group,
    inventory,
    item,
    job,
    lock,
    managed_disk,
    nic,
    policies_of,
    policy,
    provider,
    region,
    subscription,
    vault,
    vm,
)

from runbook_lib.checks.kinds import LOCKS, SETTINGS, STORAGE, VAULTS
from runbook_lib.parameters import Parameters
from runbook_lib.records import (
    Agent,
    Disk,
    Encryption,
    Extension,
    Image,
    Inventory,
    IpConfiguration,
    KeyVault,
    LoadBalancer,
    PublicIp,
    Status,
    Vault,
    VirtualMachine,
    key,
)

__all__ = ["ASKED", "MORE_CASES", "Case"]

# Check, case, status by today's rule, status by the guide's, and an estate with one VM that makes it.
Case = tuple[str, str, Status, Status, Inventory]
PASS, FAIL, WARN, UNKNOWN, NOT_NEEDED = Status.PASS, Status.FAIL, Status.WARN, Status.UNKNOWN, Status.NOT_NEEDED
SCALE_SET = arm_id("Microsoft.Compute/virtualMachineScaleSets", "fleet")


def _extended(name: str, kind: str = "", **fields: Any) -> Extension:
    return Extension(name=name, type=kind, status=fields.pop("status", ""), **fields)


def _linux(**fields: Any) -> VirtualMachine:
    return vm(os_type="Linux", **{"image": Image()} | fields)


def _windows(**fields: Any) -> VirtualMachine:
    return vm(**{"image": Image()} | fields)


def _with_disk(kind: str = "", shares: int = 1, *, told: bool = True, **fields: Any) -> Inventory:
    """
    An estate whose VM has one managed data disk; *told*: the disk itself could be read.
    """
    own = managed_disk("data", kind, shares)
    attached = Disk(name="data", id=own.id, **fields)
    return estate(vm(data_disks=(attached,)), *([own] if told else []))


def _ultra(**fields: Any) -> VirtualMachine:
    return vm(data_disks=(Disk(name="data", id="/disks/data", storage="UltraSSD_LRS"),), **fields)


def _unclear() -> VirtualMachine:
    return vm(data_disks=(Disk(name="data", id="/disks/data"),))


def _full(policy_name: str = "DefaultPolicy", *, count: int = 1000) -> Inventory:
    """
    A vault with *count* protected VMs; the one that is judged is none of them.
    """
    others = [vm(f"other{number}") for number in range(count)]
    policy_id = f"{HELD.id}/backupPolicies/{policy_name}"
    items = {key(each.id): each for each in (item(other, HELD, policy_id=policy_id) for other in others)}
    return replace(estate(HELD, *policies_of(HELD)), items=items)


def _entered(machine: VirtualMachine, holder: Any = HELD, *more: Any, **fields: Any) -> Inventory:
    return estate(machine, holder, *policies_of(holder), item(machine, holder, **fields), *more)


def _balanced(*, known: bool, public: bool = True, pooled: bool = True) -> Inventory:
    """
    An estate whose VM is behind a load balancer, which may or may not be in the list; *pooled*: in a pool of it, else
    at the end of an inbound rule.
    """
    own_id = arm_id("Microsoft.Network/loadBalancers", "lb")
    pool = f"{own_id}/backendAddressPools/pool"
    led = {"backend_pool_ids": (pool,)} if pooled else {"nat_rule_ids": (f"{own_id}/inboundNatRules/ssh",)}
    own = nic(ip_configurations=(IpConfiguration(private_ip="10.0.0.4", **led),))
    world = estate(vm(nic_ids=(own.id,)), own)
    balancer = LoadBalancer(id=own_id, name="lb", location=HOME, public=public, pool_ids=(pool,))
    return replace(world, load_balancers={key(own_id): balancer} if known else {})


def _addressed(*static: bool | None) -> Inventory:
    """
    An estate whose VM has public addresses: reserved, dynamic, or not to be read.
    """
    ids = [arm_id("Microsoft.Network/publicIPAddresses", f"pip{number}") for number in range(len(static))]
    own = nic(ip_configurations=tuple(IpConfiguration(private_ip="10.0.0.4", public_ip_id=each) for each in ids))
    known = {
        key(each): PublicIp(id=each, name=each, location=HOME, static=kind)
        for each, kind in zip(ids, static, strict=True)
        if kind is not None
    }
    return replace(estate(vm(nic_ids=(own.id,)), own), public_ips=known)


def _moving(*days: int, **asked: Any) -> Inventory:
    """
    An estate whose VM is under another policy than the parameters name, with recovery points so many days old.
    """
    other = policy(HELD, policy_name="Other", **asked)
    points = tuple(NOW - timedelta(days=each) for each in days) if days else None
    return _entered(vm(), HELD, other, policy_id=other.id, points=points)


def _locked(scope: str, *levels: str) -> Inventory:
    return estate(*(lock(scope, level, f"lock{number}") for number, level in enumerate(levels)))


def _dark(*records: Any, what: str = VAULTS) -> Inventory:
    return replace(estate(*records), unread=(gap(what),))


def _silent(holder: Vault, what: str) -> Inventory:
    """
    An estate whose vault was listed, but something of it could not be read.
    """
    return replace(estate(holder, *policies_of(holder)), unread=(gap(what, holder.id),))


def _keyed(
    *,
    told: bool = True,
    on_disk: bool = False,
    wrapped: bool = False,
    guid: str = ONE,
    location: str = HOME,
    **fields: Any,
) -> Inventory:
    """
    An estate whose VM has Azure Disk Encryption, with a Key Vault that an access policy opens.

    Args:
        told: whether the Key Vault could be read.
        on_disk: whether the settings stand at the disk, not in the VM's model: its VM is off then.
        wrapped: whether a key wraps the secrets.
    """
    own_id = arm_id("Microsoft.KeyVault/vaults", "kv", subscription=guid)
    usual: dict[str, Any] = {"secret_readers": ("someone",)}
    keys = KeyVault(id=own_id, name="kv", location=location, **usual | fields)
    settings = Encryption(secret_vaults=(own_id,), key_vaults=(own_id,) if wrapped else ())
    disk = managed_disk("os")
    machine = vm(os_disk=Disk(encryption=settings))
    if on_disk:
        disk = replace(disk, encryption=settings)
        machine = vm(os_disk=Disk(id=disk.id), power_state="deallocated", agent=None)
    return estate(machine, disk, *([keys] if told else []))


def _named_points(name: str, *more: str, policy_name: str = "DefaultPolicy") -> Inventory:
    """
    An estate with a locked group, and a policy that gives the groups of restore points names of their own.
    """
    parts = {"azureBackupRGNamePrefix": "rg-points-"} | dict.fromkeys(more, "-x")
    own = replace(policy(HELD, policy_name=policy_name), properties={"instantRPDetails": parts})
    return estate(HELD, *policies_of(HELD), own, group(name), lock(group(name).id))


def _crash_only(machine: VirtualMachine) -> Inventory:
    """
    An estate whose policy takes crash-consistent points only.
    """
    own = policies_of(HELD)[0]
    taking = replace(own, properties=own.properties | {"snapshotConsistencyType": "OnlyCrashConsistent"})
    return estate(machine, HELD, taking)


def _elsewhere() -> Inventory:
    """
    The vault that the parameters name stands in another subscription.
    """
    far = vault(guid=TWO)
    own = vm()
    return inventory(
        subscription(), subscription(TWO, "Development"), provider(), own, far, item(own, far, protection="stopped")
    )


# What a case is asked for, where the default parameters cannot make it.
ASKED = {
    ("listed", "other_subscription"): Parameters(vault_subscription=TWO),
    ("protection", "undelete"): Parameters(undelete=True),
} | {
    ("policy-fit", case): Parameters(change_policy=True)
    for case in ("changes", "loses", "no_way_back", "change_unread")
}
GROUP = f"/subscriptions/{ONE}/resourceGroups/rg-app"
VSS = "ProvisioningState/failed/1"
DONE = "ProvisioningState/succeeded"
SNAPSHOT = "Microsoft.Azure.RecoveryServices.VMSnapshot"
MORE_CASES: list[Case] = [
    # --- vaults ---
    ("vault-in-region", "planned", PASS, PASS, estate()),
    ("vault-in-region", "not_offered", FAIL, FAIL, estate(vm(location="brazilus"))),
    ("vault-in-region", "fits", PASS, PASS, estate(HELD)),
    ("vault-in-region", "fits", PASS, PASS, estate(vault(soft_delete="AlwaysON", immutability="Locked"))),
    ("vault-in-region", "no_soft_delete", WARN, PASS, estate(vault(soft_delete="Disabled"))),
    ("vault-in-region", "full", FAIL, NOT_NEEDED, _full()),
    ("vault-in-region", "other_region", FAIL, FAIL, estate(vault(location="northeurope"))),
    ("vault-in-region", "unread", UNKNOWN, UNKNOWN, _dark()),
    (
        "redundancy-locked",
        "locked_held",
        WARN,
        NOT_NEEDED,
        _entered(vm(), vault("rsv-old", redundancy="LocallyRedundant", redundancy_locked=True)),
    ),
    ("vault-in-region", "settings_unread", UNKNOWN, PASS, _silent(HELD, SETTINGS)),
    # What the storage configuration says beside it does not tell of soft delete.
    ("vault-in-region", "fits", PASS, PASS, _silent(HELD, STORAGE)),
    ("vault-in-region", "items_unread", UNKNOWN, PASS, estate(vault(items_read=False))),
    ("redundancy-locked", "free", PASS, NOT_NEEDED, estate()),
    ("redundancy-locked", "free", PASS, NOT_NEEDED, estate(vault(redundancy="LocallyRedundant"))),
    ("redundancy-locked", "as_asked", PASS, NOT_NEEDED, estate(vault(redundancy_locked=True))),
    (
        "redundancy-locked",
        "locked",
        WARN,
        NOT_NEEDED,
        estate(vault(redundancy="LocallyRedundant", redundancy_locked=True)),
    ),
    (
        "redundancy-locked",
        "unread",
        UNKNOWN,
        NOT_NEEDED,
        estate(vault(redundancy="", redundancy_locked=None)),
    ),
    ("redundancy-locked", "as_asked", PASS, NOT_NEEDED, estate(vault(redundancy="georedundant"))),
    ("redundancy-locked", "vault_unread", UNKNOWN, NOT_NEEDED, _dark()),
    # --- locks where enabling writes: on the vault, its group or its subscription, there already or to be made ---
    ("vault-locks", "none", PASS, NOT_NEEDED, estate(HELD)),
    ("vault-locks", "none", PASS, NOT_NEEDED, _locked(GROUP, "ReadOnly")),
    ("vault-locks", "none", PASS, NOT_NEEDED, _locked(HELD.id, "CanNotDelete")),
    ("vault-locks", "read_only", FAIL, NOT_NEEDED, _locked(HELD.id, "CanNotDelete", "ReadOnly")),
    ("vault-locks", "read_only", FAIL, NOT_NEEDED, _locked(HELD.id.split("/providers/")[0].upper(), "readonly")),
    ("vault-locks", "read_only", FAIL, NOT_NEEDED, _locked(f"/subscriptions/{ONE}", "ReadOnly")),
    ("vault-locks", "protected", NOT_NEEDED, NOT_NEEDED, _entered(vm(), HELD, lock(HELD.id, "ReadOnly"))),
    (
        "vault-locks",
        "read_only",
        FAIL,
        NOT_NEEDED,
        _entered(vm(), HELD, lock(HELD.id, "ReadOnly"), protection="stopped"),
    ),
    ("vault-locks", "unread", UNKNOWN, NOT_NEEDED, _dark(what=LOCKS)),
    # --- policies ---
    ("policy-fit", "fits", PASS, NOT_NEEDED, estate()),
    ("policy-fit", "fits", PASS, NOT_NEEDED, estate(HELD, *policies_of(HELD))),
    ("policy-fit", "unread", UNKNOWN, NOT_NEEDED, estate(vault(policies_read=False))),
    ("policy-fit", "unread", UNKNOWN, NOT_NEEDED, _dark()),
    ("policy-fit", "fits", PASS, NOT_NEEDED, estate(vm(security_type="TrustedLaunch"), HELD, *policies_of(HELD))),
    ("policy-fit", "fits", PASS, NOT_NEEDED, _full(count=999)),
    ("policy-fit", "protected", NOT_NEEDED, NOT_NEEDED, _entered(_ultra())),
    ("policy-fit", "needs_enhanced", FAIL, NOT_NEEDED, estate(_ultra())),
    ("policy-fit", "needs_enhanced", FAIL, NOT_NEEDED, estate(_ultra(), HELD, *policies_of(HELD))),
    ("policy-fit", "needs_enhanced", FAIL, NOT_NEEDED, _entered(_ultra(), protection="stopped", policy_id="")),
    ("policy-fit", "needs_enhanced", FAIL, NOT_NEEDED, _with_disk("PremiumV2_LRS")),
    ("policy-fit", "needs_enhanced", FAIL, NOT_NEEDED, estate(vm(security_type="ConfidentialVM"))),
    ("policy-fit", "other_workload", FAIL, NOT_NEEDED, estate(vault(other_policies=("defaultpolicy",)))),
    ("policy-fit", "full", FAIL, NOT_NEEDED, _full()),
    ("policy-fit", "unread", UNKNOWN, NOT_NEEDED, estate(_ultra(), vault(policies_read=False))),
    ("policy-fit", "unclear_disks", UNKNOWN, NOT_NEEDED, estate(_unclear())),
    ("policy-fit", "changes", PASS, NOT_NEEDED, _moving(1)),
    ("policy-fit", "loses", WARN, NOT_NEEDED, _moving(1, 60)),
    ("policy-fit", "no_way_back", WARN, NOT_NEEDED, _moving(1, policy_type="Enhanced")),
    ("policy-fit", "change_unread", WARN, NOT_NEEDED, _moving()),
    # --- the vault's list ---
    ("listed", "not_offered", FAIL, FAIL, estate(vm(location="brazilus"))),
    ("listed", "listed", PASS, PASS, estate(HELD)),
    ("listed", "planned", PASS, PASS, estate()),
    ("listed", "protected", NOT_NEEDED, NOT_NEEDED, _entered(vm())),
    ("listed", "stopped", NOT_NEEDED, NOT_NEEDED, _entered(vm(), protection="stopped")),
    ("listed", "stopped", NOT_NEEDED, NOT_NEEDED, _elsewhere()),
    ("listed", "soft_deleted", WARN, WARN, _entered(vm(), protection="stopped", soft_deleted=True)),
    ("listed", "other_region", FAIL, FAIL, estate(vault(location="northeurope"))),
    ("listed", "other_subscription", WARN, WARN, estate(vault(guid=TWO))),
    ("listed", "unread", UNKNOWN, UNKNOWN, _dark()),
    # --- the guide's limitations ---
    ("reserved-ip", "classic", NOT_NEEDED, NOT_NEEDED, estate()),
    ("docker-extension", "absent", PASS, PASS, estate(_linux())),
    ("docker-extension", "windows", NOT_NEEDED, NOT_NEEDED, estate(vm(extensions=(_extended("DockerExtension"),)))),
    # Its owner may have called it anything.
    ("docker-extension", "unread", UNKNOWN, UNKNOWN, estate(_linux(extensions=(_extended("docker-ext"),)))),
    (
        "docker-extension",
        "absent",
        PASS,
        PASS,
        estate(_linux(extensions=(_extended("docker", "Contoso.Extensions.NotDocker"),))),
    ),
    (
        "docker-extension",
        "present",
        WARN,
        FAIL,
        estate(_linux(extensions=(_extended("x", "Microsoft.Azure.Extensions.DockerExtension"),))),
    ),
    # A subscription's list of VMs has no types of extensions, only their ids.
    ("docker-extension", "present", WARN, FAIL, estate(_linux(extensions=(_extended("DockerExtension"),)))),
    ("network-drives", "guest", UNKNOWN, UNKNOWN, estate()),
    ("replace-vm", "replaceable", PASS, WARN, estate()),
    ("replace-vm", "unmanaged", WARN, WARN, estate(vm(unmanaged_disks=True))),
    ("replace-vm", "encrypted", WARN, WARN, _keyed()),
    ("cross-region", "geo", NOT_NEEDED, WARN, estate()),
    ("cross-region", "geo", NOT_NEEDED, WARN, estate(HELD)),
    ("cross-region", "geo", NOT_NEEDED, WARN, estate(HELD, region(pair="northeurope"))),
    ("cross-region", "in_region", NOT_NEEDED, WARN, estate(vault(redundancy="LocallyRedundant"))),
    ("cross-region", "no_pair", NOT_NEEDED, WARN, estate(region())),
    ("cross-region", "no_pair", NOT_NEEDED, WARN, estate(vault(cross_region_restore=True), region())),
    ("cross-region", "restorable", PASS, WARN, estate(vault(cross_region_restore=True))),
    ("cross-region", "restorable", PASS, WARN, _entered(vm(), vault("rsv-other", cross_region_restore=True))),
    ("cross-region", "restorable", PASS, WARN, _silent(vault(cross_region_restore=True), SETTINGS)),
    ("cross-region", "geo", NOT_NEEDED, WARN, _silent(HELD, STORAGE)),
    ("cross-region", "unread", UNKNOWN, WARN, _silent(HELD, SETTINGS)),
    ("cross-region", "unread", UNKNOWN, WARN, _silent(vault(redundancy=""), STORAGE)),
    ("cross-region", "unread", UNKNOWN, WARN, _dark()),
    ("domain-controller", "guest", UNKNOWN, UNKNOWN, estate(vm(tags={"role": "domain controller"}))),
    ("domain-controller", "guest", UNKNOWN, UNKNOWN, estate(vm(os_type=""))),
    ("domain-controller", "linux", NOT_NEEDED, NOT_NEEDED, estate(_linux())),
    ("special-network", "plain", PASS, PASS, estate()),
    ("special-network", "plain", PASS, PASS, _addressed(True)),
    ("special-network", "plain", PASS, PASS, _addressed(True, False)),
    ("special-network", "plain", PASS, PASS, _addressed(None)),
    ("special-network", "special", WARN, WARN, _balanced(known=True)),
    ("special-network", "special", WARN, WARN, _balanced(known=True, public=False)),
    ("special-network", "special", WARN, WARN, _balanced(known=False)),
    ("special-network", "special", WARN, WARN, _balanced(known=True, pooled=False)),
    ("special-network", "special", WARN, WARN, _addressed(True, True)),
    ("special-network", "special", WARN, WARN, estate(vm(nic_ids=("/a", "/b")))),
    ("special-network", "unread", UNKNOWN, UNKNOWN, estate(vm(nic_ids=("/a",)))),
    ("special-network", "unread", UNKNOWN, UNKNOWN, _addressed(True, None)),
    # --- operating systems: what is reported before what the image is called ---
    ("os-version", "supported", PASS, PASS, estate()),
    ("os-version", "supported", PASS, PASS, estate(_windows(image=Image(sku="2008-R2-SP1")))),
    ("os-version", "supported", PASS, FAIL, estate(_windows(image=Image(sku="2008-SP2")))),
    ("os-version", "supported", PASS, PASS, estate(_windows(image=Image(offer="sql2022-ws2022", sku="standard")))),
    ("os-version", "supported", PASS, PASS, estate(_windows(os_version="Microsoft Windows NT 6.3.9600.0"))),
    ("os-version", "supported", PASS, FAIL, estate(_windows(os_version="Microsoft Windows NT 6.0.6003.0"))),
    ("os-version", "supported", PASS, PASS, estate(_windows(os_name="Windows Server 2025 Datacenter"))),
    ("os-version", "supported", PASS, FAIL, estate(_windows(os_name="Windows 11 Pro", os_version="10.0.26100"))),
    ("os-version", "supported", PASS, FAIL, estate(_windows(image=Image(offer="windows-11", sku="win11-24h2-pro")))),
    ("os-version", "refused", FAIL, FAIL, estate(_windows(os_version="5.2.3790"))),
    # A guest may report anything, numbers too long for Python among it.
    ("os-version", "supported", PASS, PASS, estate(_windows(os_version="9" * 5000 + ".1"))),
    ("os-version", "refused", FAIL, FAIL, estate(_windows(image=Image(sku="2003-R2")))),
    ("os-version", "refused", FAIL, FAIL, estate(_windows(os_name="Windows 10 Pro 32-bit", os_version="10.0.19045"))),
    ("os-version", "supported", PASS, FAIL, estate(_windows(os_name="Windows 10 Pro x86-64", os_version="10.0.19045"))),
    # An image that was upgraded in place.
    (
        "os-version",
        "supported",
        PASS,
        PASS,
        estate(_windows(image=Image(sku="2003-R2"), os_name="Windows Server 2016", os_version="10.0.14393")),
    ),
    ("os-version", "supported", PASS, PASS, estate(_linux(os_name="ubuntu", os_version="24.04"))),
    ("os-version", "supported", PASS, PASS, estate(_linux(image=Image(publisher="RedHat", offer="RHEL", sku="9_4")))),
    ("os-version", "refused", FAIL, FAIL, estate(_linux(image=Image(publisher="CoreOS", offer="CoreOS")))),
    ("os-version", "refused", FAIL, FAIL, estate(_linux(os_name="Red Hat Enterprise Linux CoreOS"))),
    ("os-version", "refused", FAIL, FAIL, estate(_linux(os_name="debian i686"))),
    ("os-version", "guest", UNKNOWN, UNKNOWN, estate(_linux(os_name="gentoo"))),
    ("os-version", "guest", UNKNOWN, UNKNOWN, estate(_linux(image=Image(id="/images/own")))),
    ("os-version", "guest", UNKNOWN, UNKNOWN, estate(_windows(image=Image(id="/images/own")))),
    ("os-version", "guest", UNKNOWN, UNKNOWN, estate(_windows(image=Image(publisher="a", offer="b", sku="c")))),
    ("os-version", "guest", UNKNOWN, UNKNOWN, estate(vm(os_type="", image=Image()))),
    # --- what came after the guide ---
    ("unmanaged-disks", "managed", PASS, NOT_NEEDED, estate()),
    ("unmanaged-disks", "unmanaged", WARN, NOT_NEEDED, estate(vm(unmanaged_disks=True))),
    ("ultra-disks", "none", NOT_NEEDED, NOT_NEEDED, estate(vm(data_disks=2))),
    ("ultra-disks", "none", NOT_NEEDED, NOT_NEEDED, estate(vm(data_disks=2, unmanaged_disks=True))),
    ("ultra-disks", "present", PASS, NOT_NEEDED, estate(_ultra())),
    ("ultra-disks", "present", PASS, NOT_NEEDED, _with_disk("premiumv2_lrs")),
    # The model of a deallocated VM says nothing, or what was before the disk was changed.
    ("ultra-disks", "present", PASS, NOT_NEEDED, _with_disk("UltraSSD_LRS")),
    ("ultra-disks", "none", NOT_NEEDED, NOT_NEEDED, _with_disk("Premium_LRS", storage="UltraSSD_LRS")),
    ("ultra-disks", "unread", UNKNOWN, NOT_NEEDED, _with_disk(told=False)),
    ("write-accelerator", "none", NOT_NEEDED, NOT_NEEDED, estate(vm(data_disks=2))),
    ("write-accelerator", "present", WARN, NOT_NEEDED, _with_disk("Premium_LRS", write_accelerator=True)),
    ("write-accelerator", "present", WARN, NOT_NEEDED, estate(vm(os_disk=Disk(write_accelerator=True)))),
    ("disk-encryption", "none", NOT_NEEDED, NOT_NEEDED, estate()),
    ("disk-encryption", "none", NOT_NEEDED, NOT_NEEDED, estate(vm(instance_view=False))),
    ("disk-encryption", "by_policy", UNKNOWN, NOT_NEEDED, _keyed()),
    ("disk-encryption", "by_policy", UNKNOWN, NOT_NEEDED, _keyed(on_disk=True)),
    ("disk-encryption", "by_policy", UNKNOWN, NOT_NEEDED, _keyed(wrapped=True, key_readers=("someone",))),
    ("disk-encryption", "by_role", UNKNOWN, NOT_NEEDED, _keyed(rbac=True, secret_readers=())),
    ("disk-encryption", "no_access", FAIL, NOT_NEEDED, _keyed(secret_readers=())),
    ("disk-encryption", "no_access", FAIL, NOT_NEEDED, _keyed(wrapped=True)),
    ("disk-encryption", "elsewhere", FAIL, NOT_NEEDED, _keyed(location="northeurope")),
    ("disk-encryption", "elsewhere", FAIL, NOT_NEEDED, _keyed(guid=TWO, told=False)),
    ("disk-encryption", "vault_unread", UNKNOWN, NOT_NEEDED, _keyed(told=False)),
    (
        "disk-encryption",
        "vault_unread",
        UNKNOWN,
        NOT_NEEDED,
        estate(vm(os_disk=Disk(encryption=Encryption(secret_vaults=("kv-by-name",))))),
    ),
    ("disk-encryption", "vault_unknown", UNKNOWN, NOT_NEEDED, estate(vm(os_disk=Disk(encryption=Encryption())))),
    (
        "disk-encryption",
        "vault_unknown",
        UNKNOWN,
        NOT_NEEDED,
        estate(vm(extensions=(_extended("ade", "Microsoft.Azure.Security.AzureDiskEncryption"),))),
    ),
    (
        "disk-encryption",
        "vault_unknown",
        UNKNOWN,
        NOT_NEEDED,
        estate(_linux(extensions=(_extended("AzureDiskEncryptionForLinux"),))),
    ),
    # The model of a VM shows only names of extensions, and a disk that could not be read may have settings.
    ("disk-encryption", "unread", UNKNOWN, NOT_NEEDED, estate(_linux(extensions=(_extended("docker-ext"),)))),
    ("disk-encryption", "unread", UNKNOWN, NOT_NEEDED, _with_disk(told=False)),
    (
        "disk-encryption",
        "none",
        NOT_NEEDED,
        NOT_NEEDED,
        estate(vm(os_disk=Disk(name="os", id=managed_disk("os").id), extensions=(_extended("x"),)), managed_disk("os")),
    ),
    ("shared-disks", "none", NOT_NEEDED, NOT_NEEDED, _with_disk()),
    ("shared-disks", "none", NOT_NEEDED, NOT_NEEDED, estate(vm(data_disks=2))),
    ("shared-disks", "shared", WARN, NOT_NEEDED, _with_disk("Premium_LRS", shares=2)),
    ("shared-disks", "unread", UNKNOWN, NOT_NEEDED, _with_disk(told=False)),
    ("ephemeral-os-disk", "durable", PASS, NOT_NEEDED, estate()),
    ("ephemeral-os-disk", "ephemeral", FAIL, NOT_NEEDED, estate(vm(os_disk=Disk(ephemeral=True)))),
    ("trusted-launch", "standard", NOT_NEEDED, NOT_NEEDED, estate(vm(security_type="Standard"))),
    ("trusted-launch", "trusted", PASS, NOT_NEEDED, estate(vm(security_type="TrustedLaunch"))),
    ("trusted-launch", "confidential", WARN, NOT_NEEDED, estate(vm(security_type="ConfidentialVM"))),
    ("scale-set-member", "none", NOT_NEEDED, NOT_NEEDED, estate()),
    ("scale-set-member", "flexible", PASS, NOT_NEEDED, estate(vm(scale_set_id=SCALE_SET))),
    # --- locks ---
    ("locks", "none", PASS, NOT_NEEDED, estate()),
    ("locks", "none", PASS, NOT_NEEDED, _locked(f"/subscriptions/{ONE}/resourceGroups/rg-other", "ReadOnly")),
    ("locks", "none", PASS, NOT_NEEDED, _locked(f"/subscriptions/{ONE}/resourceGroups/rg-app2", "ReadOnly")),
    ("locks", "delete", WARN, NOT_NEEDED, _locked(GROUP, "CanNotDelete")),
    ("locks", "delete", WARN, NOT_NEEDED, _locked(vm().id, "CanNotDelete")),
    ("locks", "delete", WARN, NOT_NEEDED, _locked(f"/subscriptions/{ONE}", "CanNotDelete")),
    ("locks", "delete", WARN, NOT_NEEDED, _locked(HELD.id, "CanNotDelete")),
    ("locks", "read_only", FAIL, NOT_NEEDED, _locked(GROUP.upper(), "CanNotDelete", "ReadOnly")),
    (
        "locks",
        "read_only",
        FAIL,
        NOT_NEEDED,
        estate(
            group("AzureBackupRG_westeurope_1"),
            lock(f"/subscriptions/{ONE}/resourceGroups/AzureBackupRG_westeurope_1", "ReadOnly"),
        ),
    ),
    (
        "locks",
        "none",
        PASS,
        NOT_NEEDED,
        estate(
            group("AzureBackupRG_northeurope_1", location="northeurope"),
            lock(f"/subscriptions/{ONE}/resourceGroups/AzureBackupRG_northeurope_1", "ReadOnly"),
        ),
    ),
    ("locks", "unread", UNKNOWN, NOT_NEEDED, _dark(what=LOCKS)),
    # Which groups hold restore points is not known then.
    ("locks", "groups_unread", UNKNOWN, NOT_NEEDED, _dark(what="Microsoft.Resources/resourceGroups")),
    ("locks", "delete", WARN, NOT_NEEDED, _named_points("rg-points-1")),
    ("locks", "delete", WARN, NOT_NEEDED, _named_points("RG-Points-12-x", "azureBackupRGNameSuffix")),
    ("locks", "delete", WARN, NOT_NEEDED, _named_points("AzureBackupRG_westeurope_1")),
    ("locks", "none", PASS, NOT_NEEDED, _named_points("rg-points-of-sale")),
    ("locks", "none", PASS, NOT_NEEDED, _named_points("rg-points-1", policy_name="Other")),
    # --- the agent's surroundings ---
    ("agent-settings", "provisioned", PASS, PASS, estate()),
    ("agent-settings", "provisioned", PASS, PASS, estate(vm(provision_agent=True, allow_extensions=True))),
    ("agent-settings", "by_hand", PASS, PASS, estate(vm(provision_agent=False))),
    ("agent-settings", "not_provisioned", WARN, WARN, estate(vm(provision_agent=False, agent=None))),
    (
        "agent-settings",
        "not_provisioned",
        WARN,
        WARN,
        estate(vm(provision_agent=False, agent=Agent(status="Not Ready", version="1"))),
    ),
    ("agent-settings", "no_extensions", FAIL, NOT_NEEDED, estate(vm(allow_extensions=False))),
    # A policy that takes crash-consistent points alone needs neither agent nor extension.
    ("agent-settings", "provisioned", PASS, PASS, _crash_only(vm(allow_extensions=False))),
    ("agent", "crash_only", WARN, FAIL, _crash_only(vm(agent=None))),
    ("agent", "crash_only", WARN, UNKNOWN, _crash_only(vm(instance_view=False))),
    ("agent", "ready", PASS, PASS, _crash_only(vm())),
    ("agent", "creating", UNKNOWN, UNKNOWN, estate(vm(agent=None, provisioning_state="creating"))),
    ("agent", "missing", FAIL, FAIL, estate(vm(agent=None, provisioning_state="succeeded"))),
    ("backup-extension", "absent", PASS, PASS, estate()),
    ("backup-extension", "absent", PASS, PASS, estate(vm(extensions=(_extended("x", "Contoso.Other", code=VSS),)))),
    (
        "backup-extension",
        "installed",
        PASS,
        PASS,
        estate(vm(extensions=(_extended("VMSnapshot", SNAPSHOT, code=DONE, status="Provisioning succeeded"),))),
    ),
    (
        "backup-extension",
        "failed",
        WARN,
        WARN,
        estate(_linux(extensions=(_extended("x", f"{SNAPSHOT}Linux", code=VSS, status="Provisioning failed"),))),
    ),
    (
        "backup-extension",
        "changing",
        UNKNOWN,
        UNKNOWN,
        estate(vm(extensions=(_extended("VMSnapshot", SNAPSHOT, code="ProvisioningState/updating", status="Upd"),))),
    ),
    ("backup-extension", "silent", UNKNOWN, UNKNOWN, estate(vm(extensions=(_extended("VMSnapshot"),)))),
    ("backup-extension", "unread", UNKNOWN, UNKNOWN, estate(vm(instance_view=False))),
    ("agent-update", "unprotected", NOT_NEEDED, NOT_NEEDED, estate()),
    ("agent-update", "vaults_unread", UNKNOWN, UNKNOWN, _dark()),
    ("agent-update", "vaults_unread", UNKNOWN, UNKNOWN, estate(vault(items_read=False))),
    ("agent-update", "idle", PASS, PASS, _entered(vm(), vault(jobs_read=True))),
    ("agent-update", "running", WARN, WARN, _entered(vm(), vault(jobs_read=True), job(vm(), HELD))),
    ("agent-update", "unread", UNKNOWN, UNKNOWN, _entered(vm())),
    # Neither another kind of job, nor that of a VM of the same name, nor one of another vault.
    (
        "agent-update",
        "idle",
        PASS,
        PASS,
        _entered(
            vm(),
            vault(jobs_read=True),
            job(vm(), HELD, "ConfigureBackup", "a"),
            job(vm(group="rg-other"), HELD, name="b"),
            job(vm(), vault("rsv-other"), name="c"),
        ),
    ),
]
