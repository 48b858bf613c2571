"""
Reads the caller's permissions and the built-in roles: Azure RBAC as the service itself tells it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runbook_lib.arm.session import ArmError, Session
from runbook_lib.records import Unread, key

__all__ = ["read_permissions", "read_roles"]

VERSION = "2022-04-01"
Permissions = list[dict[str, Any]]


def read_permissions(session: Session, scopes: Iterable[str]) -> tuple[dict[str, Permissions], tuple[Unread, ...]]:
    """
    Read what the caller may do at each scope, by its key; and where that could not be read.
    """
    wanted = list(dict.fromkeys(scopes))

    def look(scope: str) -> Permissions | Unread:
        return _rows(session, scope, "permissions")

    found = dict(zip(wanted, session.each(look, wanted), strict=True))
    return (
        {key(scope): rows for scope, rows in found.items() if not isinstance(rows, Unread)},
        tuple(rows for rows in found.values() if isinstance(rows, Unread)),
    )


def read_roles(session: Session, scope: str) -> tuple[Permissions, tuple[Unread, ...]]:
    """
    Read the built-in roles; none of them where they could not be read, with the reason.
    """
    rows = _rows(session, scope, "roleDefinitions", **{"$filter": "type eq 'BuiltInRole'"})
    return ([], (rows,)) if isinstance(rows, Unread) else (rows, ())


def _rows(session: Session, scope: str, kind: str, **query: str) -> Permissions | Unread:
    what = f"Microsoft.Authorization/{kind}"
    try:
        return list(session.rows(f"{scope}/providers/{what}", VERSION, **query))
    except ArmError as error:
        return Unread(scope=scope, what=what, status=error.status, code=error.code, message=error.message)
