"""
Who signs in to Azure, how, and where: credentials, clouds, and what to do when signing in does not succeed.

Imports azure-core, azure-mgmt-core, `pipeline`, `errors` and `folder`; azure-identity late.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from azure.core import AzureClouds
from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from azure.mgmt.core.tools import get_arm_endpoints

from runbook_lib.arm.pipeline import origin_of
from runbook_lib.errors import InvalidParameters, SignInError
from runbook_lib.naming import is_tenant
from runbook_lib.parameters import Parameters
from runbook_lib.places import interactive
from runbook_lib.secrets import redacted

__all__ = ["AUDIENCE", "ENDPOINT", "Asked", "Cloud", "Prompt", "SignIn", "cloud_of", "login_command"]

# Called with the page and the code that a person has to enter there.
Prompt = Callable[[str, str], None]
# The convention of Azure Service Operator for Resource Manager somewhere else, beside azure-identity's own variables.
ENDPOINT = "AZURE_RESOURCE_MANAGER_ENDPOINT"
AUDIENCE = "AZURE_RESOURCE_MANAGER_AUDIENCE"
_AUTHORITY = "AZURE_AUTHORITY_HOST"
_TENANT = "AZURE_TENANT_ID"

# By name of the cloud: azure-core's setting, where people sign in, and the Azure CLI's name for it.
_CLOUDS = {
    "AzurePublicCloud": (AzureClouds.AZURE_PUBLIC_CLOUD, "login.microsoftonline.com", "AzureCloud"),
    "AzureChinaCloud": (AzureClouds.AZURE_CHINA_CLOUD, "login.chinacloudapi.cn", "AzureChinaCloud"),
    "AzureUSGovernment": (AzureClouds.AZURE_US_GOVERNMENT, "login.microsoftonline.us", "AzureUSGovernment"),
}
# Entra ID's codes for a sign-in that was good once: expired, revoked, or asking for a second factor anew.
_OVER = re.compile(r"AADSTS(50076|50078|50079|50132|50133|50173|70008|70043|700081|700082|700084)\b")
_SECRET_OVER = re.compile(r"AADSTS(7000222|700027)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    How to sign in, as the parameters say.

    Attributes:
        sign_in: which credential, as parameter `sign_in` names it.
        tenant_id: the tenant to sign in to; empty takes `$AZURE_TENANT_ID`, else the credential's own.
        cloud: name of the cloud.
    """

    sign_in: str = "default"
    tenant_id: str = ""
    cloud: str = "AzurePublicCloud"

    @classmethod
    def by(cls, parameters: Parameters) -> Asked:
        """
        Take it from a run's parameters.
        """
        return cls(sign_in=parameters.sign_in, tenant_id=parameters.tenant_id, cloud=parameters.cloud)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """
    A Resource Manager and what belongs to it.

    Attributes:
        name: of the cloud, or the endpoint where it is none of Microsoft's.
        endpoint: base URL of Resource Manager.
        scope: what a token is asked for.
        authority: host that gives tokens.
        known: whether that host is one of Microsoft's; others are not looked up there.
        cli: the Azure CLI's name for the cloud.
    """

    name: str
    endpoint: str
    scope: str
    authority: str
    known: bool
    cli: str


def cloud_of(name: str, environ: Mapping[str, str]) -> Cloud:
    """
    Return the cloud *name*, or the Resource Manager that the environment names in its place.

    Raises:
        InvalidParameters: what the environment names is no https URL of a host; an authority may lack the https://.
    """
    setting, host, cli = _CLOUDS[name]
    arm = get_arm_endpoints(setting)
    endpoint = arm["resource_manager"].rstrip("/")
    scope = arm["credential_scopes"][0]
    authority = environ.get(_AUTHORITY, "").removeprefix("https://").rstrip("/ ") or host
    if not _is_host(f"https://{authority}"):
        # What it holds may be a password.
        raise InvalidParameters("authority", name=_AUTHORITY)
    named = environ.get(ENDPOINT, "").rstrip("/ ")
    if named and named.lower() != endpoint:
        if not _is_host(named):
            raise InvalidParameters("endpoint", name=ENDPOINT)
        # Asked for itself unless told otherwise: a token for Azure is not for somebody else to see.
        audience = environ.get(AUDIENCE, "").rstrip("/ ") or named
        name, endpoint, scope = f"{named} (custom endpoint)", named, f"{audience}/.default"
    known = authority.lower() in {host for _, host, _ in _CLOUDS.values()}
    return Cloud(name=name, endpoint=endpoint, scope=scope, authority=authority, known=known, cli=cli)


def _is_host(url: str) -> bool:
    """
    Tell whether a URL is https:// and a host, with a port if need be, and nothing else.
    """
    # What is read in two ways, such as a name in other letters than ASCII, would match no link that Azure gives.
    if origin_of(url) is None:
        return False
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port is None else f":{parts.port}"
    alone = not (parts.path or parts.query or parts.fragment)
    return parts.scheme == "https" and alone and parts.netloc.lower() == f"{host}{port}"


def login_command(cloud: Cloud, tenant: str) -> str:
    """
    Return the command that signs in with the Azure CLI.
    """
    chosen = "" if cloud.cli == "AzureCloud" else f"az cloud set --name {cloud.cli} && "
    return f"{chosen}az login{f' --tenant {tenant}' if tenant else ''}"


class SignIn:
    """
    A credential of azure-identity for the clients of one target, which explains why there is no token.
    """

    def __init__(self, asked: Asked, cloud: Cloud, prompt: Prompt | None = None) -> None:
        """
        Args:
            prompt: tells a person where to enter which code; None lets azure-identity print it.

        Raises:
            InvalidParameters: a person would have to sign in, and there is none; or `$AZURE_TENANT_ID` is no tenant, or
                not the one that the credential is asked for.
            SignInError: what the credential needs is not there.
        """
        self._kind = asked.sign_in
        self._by_person = asked.sign_in in ("device_code", "browser")
        if self._by_person and not interactive():
            raise InvalidParameters("sign_in_needs_person", name="sign_in", value=asked.sign_in)
        self._cloud = cloud
        self.tenant = _tenant(asked)
        self.command = login_command(cloud, self.tenant)
        try:
            self._credential = _credential(self._kind, cloud, self.tenant, prompt)
        except ValueError as error:
            # Variables that are not set, or cannot be meant.
            raise self._missing(_first_line(str(error))) from error

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """
        Return a token; azure-core's clients ask for it when they need one.

        Raises:
            SignInError: there is none.
        """
        if self.tenant:
            options["tenant_id"] = self.tenant
        try:
            return self._credential.get_token(*scopes, **options)
        except ClientAuthenticationError as error:
            # azure-identity gives what the network did as its own error, with the cause behind it.
            if isinstance(error.__cause__, ServiceRequestError | ServiceResponseError):
                raise self._unreachable(error) from error
            raise self._explained(error) from error
        except AzureError as error:
            raise self._unreachable(error) from error

    def refused(self, resource: str, problem: str) -> SignInError:
        """
        Explain that *resource* takes no token of this credential, with what mends it.
        """
        match self._kind:
            case "managed_identity":
                return SignInError("refused_managed_identity", resource=resource, problem=problem)
            case "workload_identity":
                return SignInError("refused_workload_identity", resource=resource, problem=problem)
            case "environment":
                return SignInError("refused_environment", resource=resource, problem=problem)
            case "device_code" | "browser":
                return SignInError("refused_person", resource=resource, problem=problem)
        return SignInError("refused", resource=resource, problem=problem, command=self.command)

    def of_other_tenant(self, found: str) -> SignInError:
        """
        Explain that the token is one of tenant *found*.
        """
        if self._kind == "managed_identity":
            return SignInError("wrong_tenant_identity", tenant=self.tenant, found=found)
        return SignInError("wrong_tenant", tenant=self.tenant, found=found, command=self.command)

    def _unreachable(self, error: AzureError) -> SignInError:
        problem = _first_line(error.message)
        return SignInError("authority_unreachable", resource=self._cloud.authority, problem=problem)

    def _explained(self, error: ClientAuthenticationError) -> SignInError:
        from azure.identity import CredentialUnavailableError

        said = redacted(str(error.message))
        problem = next((line.strip() for line in said.splitlines() if "AADSTS" in line), _first_line(said))
        # What signs in without a person has no secret of its own, and no session that could be over.
        by_itself = self._kind in ("managed_identity", "workload_identity")
        if _SECRET_OVER.search(said) and not by_itself:
            return SignInError("secret_expired", problem=problem)
        if _OVER.search(said) and not by_itself:
            return self._over(problem)
        # A person who did not come in time is not refused.
        absent = self._by_person and "AADSTS" not in said
        if isinstance(error, CredentialUnavailableError) or self._kind == "default" or absent:
            return self._missing(problem)
        return SignInError("authority_refused", resource=self._cloud.authority, problem=problem)

    def _over(self, problem: str) -> SignInError:
        if self._by_person:
            return SignInError("person_expired", problem=problem)
        if self._kind == "environment":
            return SignInError("expired_environment", problem=problem, command=self.command)
        return SignInError("expired", problem=problem, command=self.command)

    def _missing(self, problem: str) -> SignInError:
        match self._kind:
            case "cli":
                return SignInError("no_cli", problem=problem, command=self.command)
            case "managed_identity":
                return SignInError("no_managed_identity", problem=problem)
            case "workload_identity":
                return SignInError("no_workload_identity", problem=problem)
            case "environment":
                return SignInError("no_environment", problem=problem)
            case "device_code" | "browser":
                return SignInError("nobody_signed_in", problem=problem)
        return SignInError("no_credential", problem=problem, command=self.command)


def _tenant(asked: Asked) -> str:
    """
    Return the tenant to sign in to, where somebody names one.
    """
    named = os.environ.get(_TENANT, "")
    if named and not is_tenant(named):
        # It goes into commands that are shown, and what it holds may be a password.
        raise InvalidParameters("tenant_variable", name=_TENANT)
    if named.lower() == asked.tenant_id.lower() or not asked.tenant_id:
        # As the credential spells it, which it compares letter by letter.
        return named
    if named and asked.sign_in in ("environment", "workload_identity"):
        # They take no token of another tenant than their own.
        raise InvalidParameters("two_tenants", name="tenant_id", value=asked.tenant_id, other=_TENANT, found=named)
    return asked.tenant_id


def _credential(kind: str, cloud: Cloud, tenant: str, prompt: Prompt | None) -> TokenCredential:
    # Imported here: azure-identity is of no use, and of some cost, to a rehearsal.
    from azure import identity

    # MSAL asks Microsoft about hosts that it does not know; an authority of one's own is not to be asked about there.
    common: dict[str, Any] = {"authority": f"https://{cloud.authority}", "disable_instance_discovery": not cloud.known}
    personal = common | ({"tenant_id": tenant} if tenant else {})
    own_client = os.environ.get("AZURE_CLIENT_ID")
    match kind:
        case "cli":
            return identity.AzureCliCredential()
        case "managed_identity":
            return identity.ManagedIdentityCredential(client_id=own_client, _exclude_workload_identity_credential=True)
        case "workload_identity":
            return identity.WorkloadIdentityCredential(**common)
        case "environment":
            return identity.EnvironmentCredential(**common)
        case "device_code":
            told: dict[str, Any] = {"prompt_callback": lambda page, code, _: prompt(page, code)} if prompt else {}
            return identity.DeviceCodeCredential(**personal, **told)
        case "browser":
            return identity.InteractiveBrowserCredential(**personal)
    return identity.DefaultAzureCredential(**common)


def _first_line(said: str) -> str:
    return redacted((said.splitlines() or [""])[0].strip())
