"""
How the estate is read: rows and bodies of ARM's own JSON, in one version for each family; what cannot be read is
recorded as unread, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from runbook_lib.arm.session import ArmError
from runbook_lib.arm.wire import Json
from runbook_lib.records import Target, Unread, key

__all__ = ["API_VERSIONS", "Readable", "Reader"]

# One place for the versions of what is read raw; the typed clients bring their own. Chosen: what those clients send.
API_VERSIONS = {
    "subscriptions": "2022-12-01",
    "resources": "2025-04-01",
    "compute": "2026-04-01",
    "network": "2026-03-01",
    "vaults": "2026-11-01",
    "backup": "2026-10-01",
    "disks": "2024-03-02",
    "locks": "2020-05-01",
    "keyvault": "2023-07-01",
}

T = TypeVar("T")
R = TypeVar("R")


class Readable(Protocol):
    """
    What can be read: a session, or what keeps its answers.
    """

    @property
    def target(self) -> Target:
        """
        Where it reads.
        """

    @property
    def now(self) -> datetime:
        """
        The service's clock at its last answer.
        """

    def each(self, look: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """
        Do the same for each of *items*, several at one time where that is of use.
        """

    def get(self, path: str, api_version: str, **query: str) -> Json:
        """
        Read one resource.
        """

    def rows(self, path: str, api_version: str, **query: str) -> Iterator[Json]:
        """
        Read a list over all its pages.
        """


@dataclass(slots=True)
class Reader:
    """
    Reads lists and single resources, and keeps what went wrong.

    Attributes:
        unread: what could not be read so far, with the reason.
    """

    session: Readable
    unread: list[Unread] = field(default_factory=list)

    def stream(self, scope: str, what: str, path: str, family: str, take: Callable[[Json], None], **query: str) -> bool:
        """
        Hand the rows of a list to *take* as its pages arrive, so that no list is ever whole in memory.

        Returns:
            Whether all pages were read; if not, there is a record of why, and what was taken is to be forgotten.
        """
        try:
            for row in self.session.rows(path, API_VERSIONS[family], **query):
                take(row)
        except ArmError as error:
            self._missed(scope, what, error)
            return False
        return True

    def keyed(
        self, scope: str, what: str, path: str, family: str, read: Callable[[Json], Any], **query: str
    ) -> dict[str, Any] | None:
        """
        Read a list whole as records, by their keys; None when any page of it could not be read.
        """
        found: dict[str, Any] = {}

        def take(row: Json) -> None:
            record = read(row)
            if record is not None and record.id:
                found[key(record.id)] = record

        return found if self.stream(scope, what, path, family, take, **query) else None

    def rows(self, scope: str, what: str, path: str, family: str, **query: str) -> list[Json] | None:
        """
        Read a short list whole; None, and a record of why, when any page of it could not be read.
        """
        found: list[Json] = []
        return found if self.stream(scope, what, path, family, found.append, **query) else None

    def one(self, scope: str, what: str, path: str, family: str, **query: str) -> Json | None:
        """
        Read one resource; None, and a record of why, when it could not be read.
        """
        try:
            return self.session.get(path, API_VERSIONS[family], **query)
        except ArmError as error:
            self._missed(scope, what, error)
            return None

    def _missed(self, scope: str, what: str, error: ArmError) -> None:
        self.unread.append(Unread(scope=scope, what=what, status=error.status, code=error.code, message=error.message))
