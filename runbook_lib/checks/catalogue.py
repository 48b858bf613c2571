"""
Every check, its effect and the guide's section that it comes from; the rules and their sources are texts of its id.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runbook_lib.checks.agent import agent, agent_settings, agent_update, agent_version, backup_extension
from runbook_lib.checks.limitations import (
    cross_region,
    data_disks,
    disk_encryption,
    docker_extension,
    domain_controller,
    ephemeral_os_disk,
    network_drives,
    os_version,
    replace_vm,
    reserved_ip,
    scale_set_member,
    shared_disks,
    special_network,
    trusted_launch,
    ultra_disks,
    unmanaged_disks,
    write_accelerator,
)
from runbook_lib.checks.network import agent_wireserver, network_outbound
from runbook_lib.checks.prerequisites import listed, protection, region
from runbook_lib.checks.vaults import locks, policy_fit, redundancy_locked, vault_in_region, vault_locks
from runbook_lib.records import Finding

__all__ = ["CATALOGUE", "Check"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """
    One rule about a VM.

    Attributes:
        id: name of the check and prefix of its texts (`check.<id>.…`).
        section: the guide's section.
        effect: `blocks`, `risks` or `informs`; what informs never changes a verdict.
        look: judges a VM of an inventory, for a run that is asked for by parameters.
        placed: whether it is also given the VM's place: its vault and its policy.
    """

    id: str
    section: str
    effect: str
    look: Callable[..., Finding]
    placed: bool = False


CATALOGUE = (
    Check(id="region", section="vault", effect="blocks", look=region),
    Check(id="vault-in-region", section="vault", effect="informs", look=vault_in_region, placed=True),
    Check(id="redundancy-locked", section="replication", effect="risks", look=redundancy_locked, placed=True),
    Check(id="vault-locks", section="vault", effect="blocks", look=vault_locks, placed=True),
    Check(id="policy-fit", section="goal", effect="blocks", look=policy_fit, placed=True),
    Check(id="protection", section="goal", effect="blocks", look=protection),
    Check(id="listed", section="goal", effect="informs", look=listed, placed=True),
    Check(id="data-disks", section="limitations", effect="blocks", look=data_disks),
    Check(id="reserved-ip", section="limitations", effect="informs", look=reserved_ip),
    Check(id="docker-extension", section="limitations", effect="risks", look=docker_extension),
    Check(id="network-drives", section="limitations", effect="informs", look=network_drives),
    Check(id="replace-vm", section="limitations", effect="informs", look=replace_vm),
    Check(id="cross-region", section="limitations", effect="informs", look=cross_region, placed=True),
    Check(id="os-version", section="limitations", effect="blocks", look=os_version),
    Check(id="domain-controller", section="limitations", effect="informs", look=domain_controller),
    Check(id="special-network", section="limitations", effect="informs", look=special_network),
    Check(id="unmanaged-disks", section="limitations", effect="risks", look=unmanaged_disks),
    Check(id="ultra-disks", section="limitations", effect="informs", look=ultra_disks),
    Check(id="write-accelerator", section="limitations", effect="risks", look=write_accelerator),
    Check(id="disk-encryption", section="limitations", effect="risks", look=disk_encryption),
    Check(id="shared-disks", section="limitations", effect="risks", look=shared_disks),
    Check(id="ephemeral-os-disk", section="limitations", effect="blocks", look=ephemeral_os_disk),
    Check(id="trusted-launch", section="limitations", effect="informs", look=trusted_launch),
    Check(id="scale-set-member", section="limitations", effect="informs", look=scale_set_member),
    Check(id="locks", section="limitations", effect="risks", look=locks, placed=True),
    Check(id="agent", section="agent", effect="blocks", look=agent, placed=True),
    Check(id="agent-version", section="agent", effect="risks", look=agent_version),
    Check(id="agent-settings", section="agent", effect="blocks", look=agent_settings, placed=True),
    Check(id="backup-extension", section="agent", effect="risks", look=backup_extension),
    Check(id="agent-update", section="agent", effect="risks", look=agent_update),
    Check(id="agent-wireserver", section="network", effect="risks", look=agent_wireserver),
    Check(id="network-outbound", section="network", effect="informs", look=network_outbound),
)
