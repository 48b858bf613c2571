"""
Virtual machines and what is attached to them. Imports the standard library and `base`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from runbook_lib.records.base import VOLATILE, Resource

__all__ = ["Agent", "Disk", "Encryption", "Extension", "Image", "KeyVault", "ManagedDisk", "VirtualMachine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """
    The VM agent as the instance view shows it.

    Attributes:
        status: `Ready`, `Not Ready` or whatever the service says.
        version: as reported: not always four numbers, `Unknown` among the values.
    """

    status: str
    version: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """
    A VM extension, from the VM's model and from its instance view.

    Attributes:
        type: `PUBLISHER.TYPE` as the instance view has it; empty when only the extension's name is known.
        status: what the service shows (`Provisioning succeeded`), empty when nobody reports.
        code: the status in ARM's words, such as `ProvisioningState/succeeded`.
    """

    name: str
    type: str
    status: str
    code: str = ""
    message: str = ""
    version: str = ""

    @property
    def kind(self) -> str:
        """
        The type without its publisher, lower case; the name where there is no type: Azure's own are called by it.
        """
        return (self.type or self.name).rsplit(".", 1)[-1].lower()

    @property
    def failed(self) -> bool:
        """
        Whether the service says that provisioning it failed.
        """
        return self.code.lower().startswith("provisioningstate/failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """
    What a VM was made from; all empty for a disk that was attached as it is.

    Attributes:
        id: of a custom image or a gallery image version.
    """

    publisher: str = ""
    offer: str = ""
    sku: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """
    Where the secrets and keys of Azure Disk Encryption are.

    Attributes:
        secret_vaults: ARM ids of the Key Vaults with the secrets; the vault's name where the settings have no id.
        key_vaults: likewise with the keys that wrap them; none where the secrets are not wrapped.
    """

    secret_vaults: tuple[str, ...] = ()
    key_vaults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """
    A disk as the model of its VM has it.

    Attributes:
        id: of the managed disk; empty when the model names none.
        storage: `Premium_LRS`, `UltraSSD_LRS`, …; Azure leaves it out while the VM is deallocated.
        size_gb: 0 where the model does not say.
        unmanaged: whether it lives in a storage account.
        ephemeral: whether it lives on the host only (`diffDiskSettings`).
        encryption: the settings of Azure Disk Encryption in the model, None where it has none that are on.
    """

    name: str = ""
    id: str = ""
    storage: str = field(default="", metadata=VOLATILE)
    size_gb: int = field(default=0, metadata=VOLATILE)
    unmanaged: bool = False
    write_accelerator: bool = False
    ephemeral: bool = False
    encryption: Encryption | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedDisk(Resource):
    """
    A managed disk as a resource of its own.

    Attributes:
        max_shares: how many VMs may attach it at a time; more than 1 for a shared disk.
        encryption: its settings of Azure Disk Encryption, None where it has none that are on.
    """

    location: str
    storage: str = ""
    size_gb: int = 0
    max_shares: int = 1
    encryption: Encryption | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualMachine(Resource):
    """
    An ARM virtual machine.

    Attributes:
        location: normalised region name.
        unique_id: `vmId`, by which one of the same name is another VM; empty where nobody says.
        os_type: Windows, Linux, or empty where the service does not say.
        security_type: Standard, TrustedLaunch, ConfidentialVM, or empty.
        scale_set_id: of the scale set that it is a member of, else empty.
        provision_agent: `provisionVMAgent`; None where the service does not say, which is not false.
        allow_extensions: `allowExtensionOperations`; likewise.
        instance_view: whether the run-time status could be read; if not, the fields after it say nothing, but for the
            names of extensions.
        provisioning_state: `creating`, `succeeded`, … in lower case, or empty where the service does not say.
        power_state: running, deallocated, … or empty where the service does not say.
        os_name: the system as the agent reports it, such as `ubuntu`; empty for many VMs.
        agent: None when the instance view has no agent.
    """

    location: str
    unique_id: str = ""
    size: str = ""
    os_type: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    image: Image = Image()
    os_disk: Disk = Disk()
    data_disks: tuple[Disk, ...] = ()
    nic_ids: tuple[str, ...] = ()
    security_type: str = ""
    zones: tuple[str, ...] = ()
    scale_set_id: str = ""
    provision_agent: bool | None = None
    allow_extensions: bool | None = None
    instance_view: bool = field(default=False, metadata=VOLATILE)
    provisioning_state: str = field(default="", metadata=VOLATILE)
    power_state: str = field(default="", metadata=VOLATILE)
    os_name: str = field(default="", metadata=VOLATILE)
    os_version: str = field(default="", metadata=VOLATILE)
    agent: Agent | None = field(default=None, metadata=VOLATILE)
    extensions: tuple[Extension, ...] = field(default=(), metadata=VOLATILE)

    @property
    def disks(self) -> tuple[Disk, ...]:
        """
        The disk of the system and the data disks.
        """
        return (self.os_disk, *self.data_disks)

    @property
    def unknown_extensions(self) -> tuple[str, ...]:
        """
        Names of the extensions of which nobody says what they are: whoever installs one may call it anything.
        """
        return tuple(each.name for each in self.extensions if not each.type)

    @property
    def unmanaged_disks(self) -> bool:
        """
        Whether any disk lives in a storage account.
        """
        return any(disk.unmanaged for disk in self.disks)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVault(Resource):
    """
    A Key Vault, as far as Azure Disk Encryption and its backup need it.

    Attributes:
        rbac: whether roles say who may read it, instead of access policies of its own.
        secret_readers: object ids whose access policy has what backup needs of secrets: get, list and backup.
        key_readers: likewise of keys.
    """

    location: str
    rbac: bool = False
    secret_readers: tuple[str, ...] = ()
    key_readers: tuple[str, ...] = ()
