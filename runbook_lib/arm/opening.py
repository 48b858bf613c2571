"""
The target of a run: the sandbox or Azure, and who is signed in. The only module, with cli, that reaches the sandbox.
"""

from __future__ import annotations

import base64
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from azure.core.credentials import AccessToken

from runbook_lib.arm.session import Session
from runbook_lib.arm.signin import Asked, Prompt, SignIn, cloud_of
from runbook_lib.errors import InvalidParameters
from runbook_lib.journal import Journal
from runbook_lib.naming import is_guid
from runbook_lib.parameters import build
from runbook_lib.places import state_path
from runbook_lib.private import make_folder
from runbook_lib.records import Origin, Target, decode
from runbook_lib.sandbox import Sandbox, SandboxError, read_estate

__all__ = [
    "DEFAULT_ESTATE",
    "copied_by",
    "open_session",
    "sandbox_path",
    "sandbox_state",
]

DEFAULT_ESTATE = "contoso"


def sandbox_path() -> Path:
    """
    Return where the sandbox's state is: `$RUNBOOK_SANDBOX`, or a file in the user's data folder.
    """
    named = os.environ.get("RUNBOOK_SANDBOX")
    return Path(named) if named else state_path() / "sandbox.sqlite"


def sandbox_state(path: Path, estate: str = "") -> Sandbox:
    """
    Open the sandbox at *path*; a new one, or one that an *estate* is given for, is filled first.

    Raises:
        InvalidParameters: the estate cannot be read.
    """
    try:
        filled = read_estate(estate or DEFAULT_ESTATE) if estate or not path.exists() else None
        if filled is not None:
            _origin(filled.source, filled.origin)
        make_folder(path.parent)
        sandbox = Sandbox(path)
        if filled is not None:
            sandbox.load(filled)
    except SandboxError as error:
        problem = error.describe(InvalidParameters.language)
        raise InvalidParameters("estate", name="estate", problem=problem) from error
    return sandbox


class _SandboxCredential:
    """
    A credential for the simulator: its token is no secret and opens nothing.
    """

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        claims = base64.urlsafe_b64encode(json.dumps({"upn": "operator@sandbox"}).encode()).decode().rstrip("=")
        return AccessToken(f"e30.{claims}.", int(time.time()) + 3600)


def _claims(token: str) -> dict[str, Any]:
    """
    Read the claims of a token, unverified: they say who is calling, they prove nothing.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        read = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _origin(source: dict[str, Any], path: Path | str) -> Origin | None:
    """
    Read what a sandbox's estate says that it is a copy of.

    Raises:
        InvalidParameters: it cannot be understood.
    """
    if not source:
        return None
    try:
        copied_by(source)
        return decode(Origin, {name: value for name, value in source.items() if name not in ("unread", "asked")})
    except (InvalidParameters, ValueError) as error:
        raise InvalidParameters("estate", name="estate", problem=f"{path}: source: {error}") from error


def copied_by(source: dict[str, Any]) -> Asked:
    """
    Read how somebody signed in to make the copy that an estate is; by default where it does not say.

    Raises:
        InvalidParameters: a value is none that the parameter takes.
        ValueError: it has another form.
    """
    said: Asked = decode(Asked, source.get("asked", {}))
    # Words of a file that get into a command which is shown.
    build(asdict(said))
    return said


def open_session(kind: str, journal: Journal, asked: Asked | None = None, prompt: Prompt | None = None) -> Session:
    """
    Sign in to the target *kind*, `sandbox` or `azure`.

    Args:
        asked: how to sign in to Azure; None takes the defaults.
        prompt: tells a person where to enter which code.

    Raises:
        SignInError: there is no usable sign-in, or it is one of another tenant.
        InvalidParameters: the sandbox's estate cannot be read, Azure is asked for on a public Binder, or what the
            environment says of it cannot be meant.
    """
    if kind == "sandbox":
        sandbox = sandbox_state(sandbox_path())
        told = sandbox.status()
        target = Target(
            kind="sandbox",
            name=told["estate"],
            caller="operator@sandbox",
            copy_of=_origin(told["source"], sandbox.path),
        )
        return Session(
            target,
            _SandboxCredential(),
            journal,
            sandbox.transport(),
            clock=lambda: sandbox.now().timestamp(),
            place=str(sandbox.path.resolve()),
        )
    if any(name.startswith("BINDER_") for name in os.environ):
        raise InvalidParameters("azure_on_binder", name="target")
    asked = asked or Asked()
    cloud = cloud_of(asked.cloud, os.environ)
    credential = SignIn(asked, cloud, prompt)
    claims = _claims(credential.get_token(cloud.scope).token)
    tenant = str(claims.get("tid", ""))
    # A token has its tenant's id and none of its domains: where one is asked for, the target's mark tells the tenant.
    if is_guid(credential.tenant) and tenant.lower() not in ("", credential.tenant.lower()):
        raise credential.of_other_tenant(tenant)
    caller = str(
        claims.get("upn") or claims.get("unique_name") or claims.get("appid") or claims.get("oid") or "unknown"
    )
    return Session(
        Target(kind="azure", name=cloud.name, tenant=tenant, caller=caller),
        credential,
        journal,
        shared=state_path() / "limits.sqlite",
        base_url=cloud.endpoint,
        refused=credential.refused,
        credential_scopes=[cloud.scope],
    )
