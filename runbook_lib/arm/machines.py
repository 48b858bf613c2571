"""
From Microsoft.Compute's JSON to records: VMs, their instance views, disks. Pure; see `shapes` for all other providers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from runbook_lib.arm.wire import Json, as_list, as_number, as_object, as_text, id_of, located, name_of, properties_of
from runbook_lib.records import Agent, Disk, Encryption, Extension, Image, KeyVault, ManagedDisk, VirtualMachine
from runbook_lib.secrets import public_members, redacted

__all__ = ["key_vault", "managed_disk", "power_state", "virtual_machine", "with_instance_view"]

# What the Backup Management Service needs of secrets, and of keys where these wrap them (backup-azure-vms-encryption
# of 2026-01-22).
NEEDED = frozenset({"get", "list", "backup"})


def virtual_machine(row: Json) -> VirtualMachine:
    """
    Read a VM without its run-time status.
    """
    properties = properties_of(row)
    storage = as_object(properties.get("storageProfile"))
    os_disk = as_object(storage.get("osDisk"))
    network = as_object(properties.get("networkProfile"))
    profile = as_object(properties.get("osProfile"))
    tags = public_members({name: as_text(value) for name, value in as_object(row.get("tags")).items()})
    return VirtualMachine(
        **located(row),
        unique_id=as_text(properties.get("vmId")).lower(),
        size=as_text(as_object(properties.get("hardwareProfile")).get("vmSize")),
        os_type=_os_type(profile, os_disk),
        tags=tags,
        image=_image(as_object(storage.get("imageReference"))),
        os_disk=_disk(os_disk),
        data_disks=tuple(_disk(as_object(each)) for each in as_list(storage.get("dataDisks"))),
        nic_ids=tuple(id_of(each) for each in as_list(network.get("networkInterfaces")) if id_of(each)),
        security_type=as_text(as_object(properties.get("securityProfile")).get("securityType")),
        zones=tuple(as_text(each) for each in as_list(row.get("zones"))),
        scale_set_id=id_of(properties.get("virtualMachineScaleSet")),
        provision_agent=_provision_agent(profile),
        allow_extensions=_said(profile.get("allowExtensionOperations")),
        provisioning_state=as_text(properties.get("provisioningState")).lower(),
        extensions=tuple(_model_extensions(row)),
    )


def _os_type(profile: Json, os_disk: Json) -> str:
    said = as_text(os_disk.get("osType"))
    if said:
        return said.capitalize()
    if profile.get("windowsConfiguration") is not None:
        return "Windows"
    return "Linux" if profile.get("linuxConfiguration") is not None else ""


def _image(given: Json) -> Image:
    return Image(
        publisher=as_text(given.get("publisher")),
        offer=as_text(given.get("offer")),
        sku=as_text(given.get("sku")),
        id=as_text(given.get("id")) or as_text(given.get("sharedGalleryImageId")),
    )


def _disk(given: Json) -> Disk:
    managed = as_object(given.get("managedDisk"))
    return Disk(
        name=as_text(given.get("name")),
        id=id_of(managed),
        storage=as_text(managed.get("storageAccountType")),
        size_gb=as_number(given.get("diskSizeGB")),
        # Neither vhd nor managedDisk was seen too: only a vhd says that a disk is in a storage account.
        unmanaged=bool(as_object(given.get("vhd"))),
        write_accelerator=given.get("writeAcceleratorEnabled") is True,
        ephemeral=as_text(as_object(given.get("diffDiskSettings")).get("option")).lower() == "local",
        encryption=_encryption(
            as_object(given.get("encryptionSettings")), [as_object(given.get("encryptionSettings"))]
        ),
    )


def _encryption(holder: Json, settings: list[Json]) -> Encryption | None:
    """
    Read where the secrets and keys are, from settings that are on.
    """
    if holder.get("enabled") is not True:
        return None
    return Encryption(
        secret_vaults=_sources(settings, "diskEncryptionKey", "secretUrl"),
        key_vaults=_sources(settings, "keyEncryptionKey", "keyUrl"),
    )


def _sources(settings: list[Json], part: str, url: str) -> tuple[str, ...]:
    held = [as_object(each.get(part)) for each in settings]
    found = (id_of(each.get("sourceVault")) or _host(as_text(each.get(url))) for each in held)
    return tuple(dict.fromkeys(each for each in found if each))


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").partition(".")[0]


def _provision_agent(profile: Json) -> bool | None:
    for kind in ("windowsConfiguration", "linuxConfiguration"):
        said = _said(as_object(profile.get(kind)).get("provisionVMAgent"))
        if said is not None:
            return said
    return None


def _said(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _model_extensions(row: Json) -> Iterator[Extension]:
    # The list of a subscription has only the ids of extensions, a GET of one VM has all of them.
    for each in map(as_object, as_list(row.get("resources"))):
        properties = properties_of(each)
        parts = (as_text(properties.get("publisher")), as_text(properties.get("type")))
        yield Extension(name=name_of(each), type=".".join(part for part in parts if part), status="")


def power_state(view: Json) -> str:
    """
    Find the power state among an instance view's statuses.
    """
    return _state(view, "powerstate")


def _state(view: Json, kind: str) -> str:
    # By its prefix, for order and set vary; what stands behind the state is detail.
    for status in as_list(view.get("statuses")):
        parts = as_text(as_object(status).get("code")).lower().split("/")
        if parts[0] == kind and len(parts) > 1:
            return parts[1]
    return ""


def with_instance_view(vm: VirtualMachine, view: Json) -> VirtualMachine:
    """
    Add to a VM what its instance view says; of an extension the view knows more than the model.
    """
    known = {each.name.lower(): each for each in (*vm.extensions, *_handlers(view), *_extensions(view))}
    return replace(
        vm,
        instance_view=True,
        provisioning_state=_state(view, "provisioningstate") or vm.provisioning_state,
        power_state=power_state(view),
        os_name=as_text(view.get("osName")),
        os_version=as_text(view.get("osVersion")),
        agent=_agent(view),
        extensions=tuple(known.values()),
    )


def _agent(view: Json) -> Agent | None:
    given = view.get("vmAgent")
    if not isinstance(given, dict):
        return None
    status = _first_status(given)
    return Agent(
        status=as_text(status.get("displayStatus")) or as_text(status.get("code")),
        version=as_text(given.get("vmAgentVersion")),
        message=redacted(as_text(status.get("message"))),
    )


def _first_status(given: Json) -> Json:
    return next((as_object(each) for each in as_list(given.get("statuses"))), {})


def _extensions(view: Json) -> Iterator[Extension]:
    for row in map(as_object, as_list(view.get("extensions"))):
        yield _extension(name_of(row), row, _first_status(row))


def _handlers(view: Json) -> Iterator[Extension]:
    # What the agent itself runs; it may know of one that the list of extensions lacks.
    for row in map(as_object, as_list(as_object(view.get("vmAgent")).get("extensionHandlers"))):
        yield _extension(as_text(row.get("type")).rsplit(".", 1)[-1], row, as_object(row.get("status")))


def _extension(name: str, row: Json, status: Json) -> Extension:
    return Extension(
        name=name,
        type=as_text(row.get("type")),
        status=as_text(status.get("displayStatus")),
        code=as_text(status.get("code")),
        message=redacted(as_text(status.get("message"))),
        version=as_text(row.get("typeHandlerVersion")),
    )


def managed_disk(row: Json) -> ManagedDisk:
    """
    Read a managed disk; one that says nothing of shares has one.
    """
    properties = properties_of(row)
    encryption = as_object(properties.get("encryptionSettingsCollection"))
    return ManagedDisk(
        **located(row),
        storage=as_text(as_object(row.get("sku")).get("name")),
        size_gb=as_number(properties.get("diskSizeGB")),
        max_shares=as_number(properties.get("maxShares"), 1),
        encryption=_encryption(encryption, [as_object(each) for each in as_list(encryption.get("encryptionSettings"))]),
    )


def key_vault(row: Json) -> KeyVault:
    """
    Read a Key Vault: who may read what backup needs, as far as its access policies tell.
    """
    properties = properties_of(row)
    policies = [as_object(each) for each in as_list(properties.get("accessPolicies"))]
    return KeyVault(
        **located(row),
        rbac=properties.get("enableRbacAuthorization") is True,
        secret_readers=_readers(policies, "secrets"),
        key_readers=_readers(policies, "keys"),
    )


def _readers(policies: list[Json], kind: str) -> tuple[str, ...]:
    found = []
    for each in policies:
        own = {as_text(right).lower() for right in as_list(as_object(each.get("permissions")).get(kind))}
        if "all" in own or own >= NEEDED:
            found.append(as_text(each.get("objectId")))
    return tuple(found)
