"""
What opens something, and what scripts print, is left out of a copy. Imports `checks` for the names of what they read.
"""

from __future__ import annotations

from typing import Any

from runbook_lib.arm.wire import Json, as_text
from runbook_lib.checks import BACKUP_EXTENSIONS
from runbook_lib.secrets import public_members

__all__ = ["scrubbed"]

# What is left of a VM's system settings; everything else there is, or may be, a secret. All names are compared in lower
# case, for services and people spell them as they like.
_OS_PROFILE = frozenset({"computername", "allowextensionoperations", "requireguestprovisionsignal"})
_OS_SETTINGS = frozenset({"provisionvmagent", "enableautomaticupdates", "patchsettings", "timezone"})
_OS_KINDS = frozenset({"windowsconfiguration", "linuxconfiguration"})
# Members that hold secrets, or what a script printed, wherever they stand.
_SECRETS = frozenset(
    {
        "adminpassword",
        "commandtoexecute",
        "customdata",
        "password",
        "protectedsettings",
        "protectedsettingsfromkeyvault",
        "script",
        "substatuses",
        "userdata",
    }
)
# Members that hold extensions, and those that only an extension has: the service may leave out any of them.
_EXTENSIONS = frozenset({"extensionhandlers", "extensionprofile", "extensions"})
_EXTENSION = frozenset({"autoupgrademinorversion", "enableautomaticupgrade", "forceupdatetag", "typehandlerversion"})
# The messages of other extensions hold what a script printed; that of the VM quotes them.
_STATUS = frozenset({"status", "statuses"})
_BACKUP = frozenset({f"microsoft.azure.recoveryservices.{each}" for each in BACKUP_EXTENSIONS})


def scrubbed(value: Any, name: str = "", *, extension: bool = False, told: bool = False) -> Any:
    """
    Return a part of an answer without what opens something: passwords, scripts and what they print, signatures.

    Args:
        name: of the member that it is the value of.
        extension: whether it is within an extension.
        told: whether it is of the VM agent or of the backup extension, whose messages checks go by.
    """
    if isinstance(value, str):
        return public_members({name: value})[name]
    if isinstance(value, list):
        return [scrubbed(each, name, extension=extension, told=told) for each in value]
    if not isinstance(value, dict):
        return value
    place = name.lower()
    if place == "osprofile":
        kinds = {own: each for own, each in value.items() if own.lower() in _OS_KINDS and isinstance(each, dict)}
        return _some(value, _OS_PROFILE) | {own: _some(each, _OS_SETTINGS) for own, each in kinds.items()}
    if place in _EXTENSIONS or _is_extension(value):
        extension, told = True, _is_backup(value)
    elif place == "vmagent":
        told = True
    left_out = _SECRETS
    if extension:
        # Those of an extension, which many put passwords into; a policy's are another thing.
        left_out |= {"settings"}
    if (extension or place in _STATUS) and not told:
        left_out |= {"message"}
    kept = {own: each for own, each in value.items() if own.lower() not in left_out}
    return {own: scrubbed(each, own, extension=extension, told=told) for own, each in kept.items()}


def _is_extension(body: Json) -> bool:
    """
    Tell an extension from other resources by whatever it says of itself.
    """
    names = {own.lower(): each for own, each in body.items()}
    kind, place = (as_text(names.get(each)).lower() for each in ("type", "id"))
    return kind.endswith("/extensions") or "/extensions/" in place or not _EXTENSION.isdisjoint(names)


def _is_backup(extension: Json) -> bool:
    """
    Tell whether an extension says that it is Azure Backup's, whatever it is called.
    """
    names = {own.lower(): as_text(each) for own, each in extension.items()}
    parts = (names.get("publisher", ""), names.get("type", ""))
    return ".".join(part for part in parts if part).lower() in _BACKUP


def _some(value: Json, names: frozenset[str]) -> Json:
    return {name: scrubbed(each, name) for name, each in value.items() if name.lower() in names}
