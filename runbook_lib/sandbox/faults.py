"""
Rules by which a sandbox fails on purpose. Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from runbook_lib.sandbox.answers import Answer
from runbook_lib.sandbox.bodies import SandboxError
from runbook_lib.sandbox.state import Body

__all__ = ["ConnectionDropped", "Fault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    A rule: requests that it matches get its answer instead of the service's.

    Args:
        method: the method that it matches; `*` for all.
        path: a regular expression that is searched in the decoded, lower-cased path.
        status: the status of its answer; None when the connection breaks instead.
        code: the code of its error body; without one the body is empty.
        times: how many requests it holds for; None for all.
        after_effect: whether the service acts on the request before its answer is lost.
        reset: whether the connection breaks, before the service acts or, with *after_effect*, after it.
    """

    method: str = "*"
    path: str = ""
    status: int | None = None
    code: str = ""
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int | None = None
    after_effect: bool = False
    reset: bool = False

    def __post_init__(self) -> None:
        """
        Refuse a rule that cannot be carried out.
        """
        if (self.status is None) != self.reset:
            raise SandboxError("fault: give either a status or reset=True")
        if self.status is not None and not 200 <= self.status <= 599:
            raise SandboxError(f"fault.status: {self.status} must be from 200 to 599")
        if self.times is not None and self.times < 1:
            raise SandboxError(f"fault.times: {self.times} must be at least 1; leave it out for always")
        try:
            re.compile(self.path)
        except re.error as error:
            raise SandboxError(f"fault.path: {self.path!r} is no regular expression ({error})") from error

    def matches(self, method: str, path: str) -> bool:
        """
        Tell whether the rule holds for a request.
        """
        return self.method in ("*", method) and re.search(self.path, path.lower()) is not None

    def answer(self) -> Answer | None:
        """
        Return the response of the rule; None when the connection breaks.
        """
        if self.status is None:
            return None
        body = {"error": {"code": self.code, "message": self.message}} if self.code else None
        return Answer(status=self.status, body=body, headers=self.headers)

    def rule(self) -> Body:
        """
        Return the rule as plain data, from which `Fault(**data)` makes it anew.
        """
        return asdict(self) | {"headers": dict(self.headers)}


class ConnectionDropped(Exception):
    """
    Raised to the server or transport, which then breaks the connection without an answer.
    """

    def __init__(self, *, acted: bool) -> None:
        super().__init__("the connection was dropped by a fault rule")
        self.acted = acted
