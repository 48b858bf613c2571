"""
Rules by which a sandbox fails on purpose. Imports the standard library and other modules of the sandbox only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from runbook_lib.sandbox.answers import Answer
from runbook_lib.sandbox.bodies import SandboxError
from runbook_lib.sandbox.state import Body

__all__ = ["ConnectionBroken", "Fault"]

_DEEDS = ("answer", "reset", "timeout", "truncate", "garble", "fail_operation", "hold_operation", "remove")
_TYPES: dict[str, tuple[type, ...]] = {
    "does": (str,),
    "method": (str,),
    "path": (str,),
    "query": (str,),
    "skip": (int,),
    "times": (int, type(None)),
    "after_effect": (bool,),
    "status": (int, type(None)),
    "code": (str,),
    "message": (str,),
    "headers": (Mapping,),
    "content": (str, type(None)),
    "resource": (str,),
    "seconds": (int, float),
}
_BREAKS = frozenset("\r\n\0")
# What each deed needs, beside what it may have.
_NEEDED = {"answer": "status", "fail_operation": "code", "remove": "resource"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    A rule: what goes wrong with the requests that it matches.

    Args:
        does: `answer` in the service's place; break the connection (`reset`) or keep still until the client gives up
            (`timeout`), before the service acts or, with *after_effect*, after it; let the service act and `truncate`
            its answer on the way, or `garble` it, so that half of it arrives as if it were all; let the operation that
            the request starts fail (`fail_operation`) or never end (`hold_operation`); `remove` a resource before the
            service sees the request.
        method: the method that it matches; `*` for all.
        path: a regular expression that is searched in the decoded, lower-cased path.
        query: likewise in the query, as `name=value&…` in the order of the names.
        skip: how many requests that it matches pass before it begins.
        times: for how many it then holds; None for all.
        after_effect: whether the service acts on the request before its answer is lost.
        status: the status of an `answer`.
        code: of the error, in the body of an `answer` or in a failed operation; without one an answer has no body.
        content: the body of an `answer` as it stands, whatever it is.
        resource: the id of what is removed, with all below it.
        seconds: how long a `timeout` takes.
    """

    does: str = "answer"
    method: str = "*"
    path: str = ""
    query: str = ""
    skip: int = 0
    times: int | None = None
    after_effect: bool = False
    status: int | None = None
    code: str = ""
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content: str | None = None
    resource: str = ""
    seconds: float = 300

    def __post_init__(self) -> None:
        """
        Refuse a rule that cannot be carried out.
        """
        for name, kinds in _TYPES.items():
            value = getattr(self, name)
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise SandboxError("fault_type", place=f"fault.{name}", value=repr(value))
        if any(
            not isinstance(each, str) or set(each) & set("\r\n\0") for pair in self.headers.items() for each in pair
        ):
            raise SandboxError("fault_headers", place="fault.headers", value=repr(self.headers))
        if self.does not in _DEEDS:
            raise SandboxError("choice", place="fault.does", value=repr(self.does), choices=", ".join(_DEEDS))
        for deed, name in _NEEDED.items():
            if self.does == deed and getattr(self, name) in (None, ""):
                raise SandboxError("fault_needs", place=f"fault.{name}", deed=repr(deed))
        if self.status is not None and (self.does != "answer" or not 200 <= self.status <= 599):
            raise SandboxError("fault_status", place="fault.status", value=self.status)
        if self.skip < 0:
            raise SandboxError("fault_skip", place="fault.skip", value=self.skip)
        if self.times is not None and self.times < 1:
            raise SandboxError("fault_times", place="fault.times", value=self.times)
        if not 0 < self.seconds <= 3600:
            raise SandboxError("fault_seconds", place="fault.seconds", value=self.seconds)
        for name, pattern in (("path", self.path), ("query", self.query)):
            try:
                re.compile(pattern)
            except re.error as error:
                raise SandboxError(
                    "fault_pattern", place=f"fault.{name}", value=repr(pattern), problem=str(error)
                ) from error

    @classmethod
    def of(cls, rule: Any) -> Fault:
        """
        Make a rule from plain data, as a file holds it.

        Raises:
            SandboxError: a field is unknown, or has a value that it cannot have.
        """
        if not isinstance(rule, Mapping):
            raise SandboxError("fault_object", place="fault", value=repr(rule))
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(rule) - known)
        if unknown:
            raise SandboxError("fault_field", place="fault", names=", ".join(unknown), known=", ".join(sorted(known)))
        return cls(**rule)

    @property
    def acts(self) -> bool:
        """
        Tell whether the service acts on a request that the rule holds for.
        """
        return self.after_effect or self.does not in ("answer", "reset", "timeout")

    @property
    def fate(self) -> Body | None:
        """
        Return what becomes of the operation that a request starts; None for what becomes of it without the rule.
        """
        if self.does == "fail_operation":
            return {"error": {"code": self.code, "message": self.message}}
        return {"held": True} if self.does == "hold_operation" else None

    @property
    def breaks(self) -> str:
        """
        Return how the connection breaks; empty when it does not.
        """
        return self.does if self.does in ("reset", "timeout", "truncate") else ""

    def matches(self, method: str, path: str, query: Mapping[str, str]) -> bool:
        """
        Tell whether the rule is about a request.
        """
        if self.method not in ("*", method) or re.search(self.path, path.lower()) is None:
            return False
        asked = "&".join(f"{name}={value}" for name, value in sorted(query.items())).lower()
        return re.search(self.query, asked) is not None

    def spoil(self, answer: Answer | None) -> Answer | None:
        """
        Return what the rule makes of the service's answer, which is None when the service did not act.
        """
        if self.does == "garble" and answer is not None:
            return Answer(status=answer.status, headers=answer.headers, raw=answer.content[: len(answer.content) // 2])
        if self.does != "answer" or self.status is None:
            return answer
        if self.content is not None:
            return Answer(status=self.status, headers=self.headers, raw=self.content.encode())
        body = {"error": {"code": self.code, "message": self.message}} if self.code else None
        return Answer(status=self.status, body=body, headers=self.headers)

    def rule(self) -> Body:
        """
        Return the rule as plain data, from which `Fault.of` makes it anew.
        """
        return asdict(self) | {"headers": dict(self.headers)}


class ConnectionBroken(Exception):
    """
    Raised to the server or transport, which then breaks the connection.

    Args:
        how: `reset`, `timeout`, or `truncate` for an answer that ends in the middle.
        acted: whether the service acted before.
        seconds: how long a client waits in vain.
        status: of the answer that is cut off, with its headers and its whole content.
    """

    def __init__(
        self,
        how: str,
        *,
        acted: bool,
        seconds: float,
        status: int = 0,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
    ) -> None:
        super().__init__(f"the connection was broken by a fault rule ({how})")
        self.how = how
        self.acted = acted
        self.seconds = seconds
        self.status = status
        self.headers = dict(headers or {})
        self.content = content
