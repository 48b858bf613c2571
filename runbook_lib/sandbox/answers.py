"""
What the simulated service answers: a status with a body, or an error in the envelope of the part that raised it.

Imports the standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Answer",
    "ArmError",
    "backup_error",
    "gateway_error",
    "network_error",
    "raise_failure",
    "resource_group_not_found",
    "resource_not_found",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    A response; a body of None is an empty one.

    Args:
        null: whether a body of None is the literal `null` instead, which Microsoft.Network sends while it works.
        raw: the content as it stands, in place of a body.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    null: bool = False
    raw: bytes | None = None

    @property
    def content(self) -> bytes:
        """
        Return the body as it is sent.
        """
        if self.raw is not None:
            return self.raw
        return b"" if self.body is None and not self.null else json.dumps(self.body).encode()


class ArmError(Exception):
    """
    An error response, raised by whoever refuses the request; nothing that the request changed is kept.

    Args:
        extra: members of the error object beside code and message, which differ from one part to another.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.error: dict[str, Any] = {"code": code, "message": message, **(extra or {})}
        self.headers = dict(headers or {})

    def answer(self) -> Answer:
        """
        Return the error as the response that carries it.
        """
        return Answer(status=self.status, body={"error": self.error}, headers=self.headers)


def gateway_error(
    status: int,
    code: str,
    message: str,
    *,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> ArmError:
    """
    Make an error of the front door, before any resource provider sees the request.
    """
    return ArmError(status, code, message, extra=extra, headers={"x-ms-failure-cause": "gateway", **(headers or {})})


def network_error(
    status: int, code: str, message: str, *, details: list[Any] | None = None, headers: Mapping[str, str] | None = None
) -> ArmError:
    """
    Make an error of Microsoft.Network, which always has details.
    """
    return ArmError(status, code, message, extra={"details": details or []}, headers=headers)


def backup_error(status: int, code: str, message: str) -> ArmError:
    """
    Make an error of Azure Backup, which names the members that it leaves empty.
    """
    return ArmError(status, code, message, extra={"target": None, "details": None, "innerError": None})


def raise_failure(operation: Mapping[str, Any]) -> None:
    """
    Raise the error of an operation that failed, on the road of its result; with which status, no source tells.

    Raises:
        ArmError: the operation ended with an error.
    """
    if operation["error"] is not None:
        raise ArmError(400, operation["error"]["code"], operation["error"]["message"])


def resource_group_not_found(group: str) -> ArmError:
    """
    Make the error for a resource group that does not exist.
    """
    return gateway_error(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")


def resource_not_found(kind: str, name: str, group: str) -> ArmError:
    """
    Make the error for a resource that does not exist in its group.
    """
    return gateway_error(
        404,
        "ResourceNotFound",
        f"The Resource '{kind}/{name}' under resource group '{group}' was not found."
        " For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )
