"""
Signing in: each flow of azure-identity against a token endpoint of our own, and what is said when it does not succeed.
"""

from __future__ import annotations

import ssl
import stat
import sys
import threading
import urllib.request
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from entra import CLIENT, SECRET, TENANT, UPN, Entra, entra, token

from runbook_lib.arm.opening import open_session
from runbook_lib.arm.session import ArmError, Session
from runbook_lib.arm.signin import AUDIENCE, ENDPOINT, Asked, cloud_of
from runbook_lib.errors import InvalidParameters, SignInError
from runbook_lib.journal import Journal

OTHER = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
EXPIRED = ("invalid_grant", "AADSTS700082: The refresh token has expired due to inactivity.")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entra]:
    """
    The token endpoint, once for all.
    """
    with entra(tmp_path_factory.mktemp("entra")) as server:
        yield server


@pytest.fixture
def endpoint(served: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entra:
    """
    The token endpoint, trusted, as the authority and as Resource Manager; nothing else of Azure is in the environment.
    """
    served.asked.clear()
    served.refusal = None
    served.pending = 0
    served.tenant = TENANT
    served.answers.clear()
    served.seen.clear()
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNBOOK_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(served.bundle))
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", served.url)
    monkeypatch.setenv(ENDPOINT, served.url)
    # Neither the machine's own sign-in nor its managed identity takes part.
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return served


@pytest.fixture
def in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What a Jupyter server sets for the kernel of a notebook that somebody has open.
    """
    monkeypatch.setenv("JPY_SESSION_NAME", "00_start.ipynb")


def signed_in(tmp_path: Path, **asked: Any) -> Session:
    """
    Open a session on Azure.
    """
    return open_session("azure", Journal(tmp_path / "journal.jsonl"), Asked(**asked))


def _service_principal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)


def _az(tmp_path: Path, script: str) -> None:
    """
    Put an Azure CLI on the path that runs *script*.
    """
    if sys.platform == "win32":
        pytest.skip("the stand-in of the Azure CLI is a shell script")
    path = tmp_path / "bin" / "az"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _token_by_az(tmp_path: Path) -> None:
    answer = f'{{"accessToken": "{token("arm", upn=UPN)}", "expires_on": 4102444800, "tokenType": "Bearer"}}'
    _az(tmp_path, f"echo \"$@\" >> '{tmp_path}/az.log'\necho '{answer}'")


@pytest.mark.parametrize("sign_in", ["environment", "default"])
def test_a_service_principal_signs_in(
    endpoint: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign_in: str
) -> None:
    """
    By the variables of azure-identity; the token is asked for Resource Manager alone, in the tenant that is named.
    """
    _service_principal(monkeypatch)
    session = signed_in(tmp_path, sign_in=sign_in)
    (asked,) = endpoint.asked

    assert (TENANT, CLIENT) == (session.target.tenant, session.target.caller)
    assert ("client_credentials", SECRET) == (asked["grant_type"], asked["client_secret"])
    assert (f"/{TENANT}/oauth2/v2.0/token", f"{endpoint.url}/.default") == (asked["path"], asked["scope"])


def test_a_workload_identity_signs_in_with_its_federated_token(
    endpoint: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    As a pod or a pipeline does, without a secret.
    """
    (tmp_path / "federated").write_text("federated-token")
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "federated"))
    session = signed_in(tmp_path, sign_in="workload_identity")
    (asked,) = endpoint.asked

    assert CLIENT == session.target.caller
    assert "federated-token" == asked["client_assertion"]


@pytest.mark.parametrize("client", ["", CLIENT])
def test_a_managed_identity_signs_in(
    endpoint: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: str
) -> None:
    """
    The machine's own, or the user-assigned one that AZURE_CLIENT_ID names.
    """
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{endpoint.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header")
    if client:
        monkeypatch.setenv("AZURE_CLIENT_ID", client)
    signed_in(tmp_path, sign_in="managed_identity")
    (asked,) = endpoint.asked

    assert (endpoint.url, "header", client) == (asked["resource"], asked["header"], asked.get("client_id", ""))


def test_the_azure_cli_signs_in(endpoint: Entra, tmp_path: Path) -> None:
    """
    It is asked for a token of the tenant that parameter tenant_id names.
    """
    _token_by_az(tmp_path)
    session = signed_in(tmp_path, sign_in="cli", tenant_id=TENANT)
    said = (tmp_path / "az.log").read_text()

    assert UPN == session.target.caller
    assert f"--tenant {TENANT}" in said
    assert endpoint.url in said


def test_a_person_signs_in_with_a_device_code(endpoint: Entra, tmp_path: Path, in_a_notebook: None) -> None:
    """
    From a notebook, where page and code are shown; the service is asked again until the person has entered it.
    """
    endpoint.pending = 1
    shown: list[tuple[str, str]] = []
    session = open_session(
        "azure",
        Journal(tmp_path / "j.jsonl"),
        Asked(sign_in="device_code", tenant_id=TENANT),
        lambda page, code: shown.append((page, code)),
    )

    assert UPN == session.target.caller
    assert [(f"{endpoint.url}/device", "ABCD-EFGH")] == shown
    assert f"/{TENANT}/oauth2/v2.0/token" == endpoint.asked[-1]["path"]


def test_a_person_signs_in_in_the_browser(
    endpoint: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_a_notebook: None
) -> None:
    """
    The browser comes back to the notebook's own machine with a code that the token is asked with.
    """
    trusted = ssl.create_default_context(cafile=str(endpoint.bundle))

    def visit(url: str) -> None:
        with urllib.request.urlopen(url, timeout=10, context=trusted) as page:
            page.read()

    def browse(url: str, *_: Any, **__: Any) -> bool:
        threading.Thread(target=visit, args=(url,)).start()
        return True

    monkeypatch.setattr(webbrowser, "open", browse)
    session = signed_in(tmp_path, sign_in="browser", tenant_id=TENANT)

    assert UPN == session.target.caller
    assert "one-time" == endpoint.asked[-1]["code"]


def test_a_person_who_did_not_come_is_told_to_run_the_cell_again(
    endpoint: Entra, tmp_path: Path, in_a_notebook: None
) -> None:
    """
    A code that ran out, or was declined, is nobody's fault.
    """
    endpoint.refusal = ("authorization_declined", "The person declined.")
    with pytest.raises(SignInError) as caught:
        signed_in(tmp_path, sign_in="device_code")

    assert "nobody_signed_in" == caught.value.message


@pytest.mark.parametrize("sign_in", ["device_code", "browser"])
def test_nobody_is_asked_where_nobody_sits(endpoint: Entra, tmp_path: Path, sign_in: str) -> None:
    """
    A headless run would wait for ever for a person who sees nothing of it.
    """
    with pytest.raises(InvalidParameters, match="az login --use-device-code"):
        signed_in(tmp_path, sign_in=sign_in)

    assert [] == endpoint.asked


@pytest.mark.parametrize(
    ("sign_in", "message", "fix"),
    [
        ("default", "no_credential", "`az login`"),
        ("cli", "no_cli", "`az login`"),
        ("managed_identity", "no_managed_identity", "az vm identity assign"),
        ("workload_identity", "no_workload_identity", "AZURE_FEDERATED_TOKEN_FILE"),
        ("environment", "no_environment", "AZURE_CLIENT_SECRET"),
    ],
)
def test_a_missing_sign_in_is_explained_with_what_mends_it(
    endpoint: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign_in: str, message: str, fix: str
) -> None:
    """
    Each has its own sentence and its own command.
    """
    if sign_in in ("default", "managed_identity"):
        # There is no IMDS here, and looking for it takes its time.
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{endpoint.url}/none")
        monkeypatch.setenv("IDENTITY_HEADER", "header")
        endpoint.refusal = ("invalid_request", "no identity")
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{endpoint.url}/msi/token")
    with pytest.raises(SignInError) as caught:
        signed_in(tmp_path, sign_in=sign_in)

    assert message == caught.value.message
    assert fix in str(caught.value)


@pytest.mark.parametrize(
    ("cloud", "tenant", "command"),
    [
        ("AzurePublicCloud", "", "az login"),
        ("AzurePublicCloud", TENANT, f"az login --tenant {TENANT}"),
        ("AzureUSGovernment", TENANT, f"az cloud set --name AzureUSGovernment && az login --tenant {TENANT}"),
    ],
)
def test_an_expired_sign_in_names_the_command_for_its_cloud_and_tenant(
    endpoint: Entra, tmp_path: Path, cloud: str, tenant: str, command: str
) -> None:
    """
    The code of Entra ID tells what is over from what was never there.
    """
    _az(tmp_path, "echo 'ERROR: AADSTS70043: The refresh token has expired. Interactive sign-in needed.' >&2\nexit 1")
    with pytest.raises(SignInError) as caught:
        signed_in(tmp_path, sign_in="cli", cloud=cloud, tenant_id=tenant)

    assert "expired" == caught.value.message
    assert f"`{command}`" in str(caught.value)
    assert "AADSTS70043" in str(caught.value)


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (("invalid_client", "AADSTS7000222: The provided client secret keys for app are expired."), "secret_expired"),
        (("invalid_client", "AADSTS7000215: Invalid client secret provided."), "authority_refused"),
        (EXPIRED, "expired_environment"),
    ],
)
def test_a_refused_service_principal_is_told_why(
    endpoint: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: tuple[str, str], message: str
) -> None:
    """
    With the code of Entra ID, and never with the secret.
    """
    _service_principal(monkeypatch)
    endpoint.refusal = refusal
    with pytest.raises(SignInError) as caught:
        signed_in(tmp_path, sign_in="environment")

    assert message == caught.value.message
    assert refusal[1].split(":")[0] in str(caught.value)
    # Without it the command deletes whatever else is registered.
    assert str(caught.value).count("credential reset") == str(caught.value).count('--id "$AZURE_CLIENT_ID" --append`')
    assert ("credential reset" in str(caught.value)) == (message != "authority_refused")
    assert SECRET not in str(caught.value)


def test_an_authority_that_does_not_answer_is_told_apart(
    endpoint: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    No network, or no trust in its certificate, is no fault of the sign-in.
    """
    _service_principal(monkeypatch)
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://localhost:1")
    with pytest.raises(SignInError) as caught:
        signed_in(tmp_path, sign_in="environment")

    assert "authority_unreachable" == caught.value.message
    assert "REQUESTS_CA_BUNDLE" in str(caught.value)


def test_a_sign_in_of_another_tenant_is_refused(endpoint: Entra, tmp_path: Path) -> None:
    """
    Whoever names a tenant is not taken to another one, whatever the credential gives.
    """
    _token_by_az(tmp_path)
    with pytest.raises(SignInError) as caught:
        signed_in(tmp_path, sign_in="cli", tenant_id=OTHER)

    assert "wrong_tenant" == caught.value.message
    assert f"`az login --tenant {OTHER}`" in str(caught.value)


@pytest.mark.parametrize(
    ("sign_in", "message", "fix"),
    [
        ("default", "refused", f"`az login --tenant {TENANT}`"),
        ("cli", "refused", f"`az login --tenant {TENANT}`"),
        ("environment", "refused_environment", '`az ad app credential reset --id "$AZURE_CLIENT_ID" --append`'),
        ("workload_identity", "refused_workload_identity", "kubectl describe serviceaccount"),
        ("managed_identity", "refused_managed_identity", "az vm identity show"),
        ("device_code", "refused_person", "Restart the kernel"),
    ],
)
def test_a_token_that_is_over_in_the_middle_of_a_run_is_a_sign_in_error(
    endpoint: Entra,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_a_notebook: None,
    sign_in: str,
    message: str,
    fix: str,
) -> None:
    """
    Resource Manager says so with 401; what mends it is named for each kind, and what was being read is not taken for
    empty.
    """
    _service_principal(monkeypatch)
    (tmp_path / "federated").write_text("federated-token")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "federated"))
    if sign_in == "cli":
        _token_by_az(tmp_path)
    if sign_in == "managed_identity":
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{endpoint.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header")
    session = signed_in(tmp_path, sign_in=sign_in)
    with pytest.raises(SignInError) as caught:
        session.get("/subscriptions", "2022-12-01")

    assert message == caught.value.message
    assert "ExpiredAuthenticationToken" in str(caught.value)
    assert fix in str(caught.value)
    assert ("az login" in str(caught.value)) == (message == "refused")


@pytest.mark.parametrize("sign_in", ["environment", "workload_identity"])
def test_two_tenants_are_told_apart_before_anybody_is_asked(
    endpoint: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign_in: str
) -> None:
    """
    The credential is for one tenant, the parameter names another: both are named; capitals make no difference.
    """
    (tmp_path / "federated").write_text("federated-token")
    _service_principal(monkeypatch)
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "federated"))
    with pytest.raises(InvalidParameters) as caught:
        signed_in(tmp_path, sign_in=sign_in, tenant_id=OTHER)

    assert "two_tenants" == caught.value.message
    assert all(each in str(caught.value) for each in (OTHER, TENANT, "tenant_id", "AZURE_TENANT_ID"))
    assert [] == endpoint.asked

    monkeypatch.setenv("AZURE_TENANT_ID", OTHER)
    endpoint.tenant = OTHER
    assert OTHER == signed_in(tmp_path, sign_in=sign_in, tenant_id=OTHER.upper()).target.tenant


@pytest.mark.parametrize("sign_in", ["default", "cli", "environment", "managed_identity"])
@pytest.mark.parametrize("named", ["contoso tenant", "contoso", "$(hunter2)", f"{TENANT} "])
def test_a_mistyped_tenant_in_the_environment_is_refused_and_not_repeated(
    endpoint: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign_in: str, named: str
) -> None:
    """
    As the parameter is, before anybody is asked; it gets into no command, whoever signs in.
    """
    _service_principal(monkeypatch)
    monkeypatch.setenv("AZURE_TENANT_ID", named)
    with pytest.raises(InvalidParameters) as caught:
        signed_in(tmp_path, sign_in=sign_in)

    assert ("tenant_variable", 2) == (caught.value.message, caught.value.exit_code)
    assert "AZURE_TENANT_ID" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert [] == endpoint.asked


@pytest.mark.parametrize("by", ["parameter", "environment"])
def test_a_managed_identity_of_another_tenant_is_refused(
    endpoint: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """
    It has its own tenant only, whichever is named, and wherever; a domain cannot be held against its token.
    """
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{endpoint.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header")
    if by == "environment":
        monkeypatch.setenv("AZURE_TENANT_ID", OTHER)
    with pytest.raises(SignInError) as caught:
        signed_in(tmp_path, sign_in="managed_identity", tenant_id=OTHER if by == "parameter" else "")

    assert "wrong_tenant_identity" == caught.value.message
    assert all(each in str(caught.value) for each in (OTHER, TENANT))

    monkeypatch.delenv("AZURE_TENANT_ID", raising=False)
    session = signed_in(tmp_path, sign_in="managed_identity", tenant_id="fabrikam.onmicrosoft.com")

    assert f"tenant {TENANT}" in session.target.mark


@pytest.mark.parametrize("way", ["link", "redirect"])
@pytest.mark.parametrize("form", ["https://127.0.0.1:{port}\\@{host}/stolen", "https://127.0.0.1:{port}/stolen"])
def test_the_token_is_never_led_to_another_host(
    endpoint: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, form: str
) -> None:
    """
    By a link or a redirect of Resource Manager's, whatever azure-core's own transport would read in it.
    """
    _service_principal(monkeypatch)
    link = form.format(host=endpoint.host, port=endpoint.host.partition(":")[2])
    rows = {"value": [], "nextLink": link}
    answers = {"link": (200, {"Content-Type": "application/json"}, rows), "redirect": (307, {"Location": link}, {})}
    endpoint.answers["/subscriptions"] = answers[way]
    with pytest.raises(ArmError, match="another host"):
        list(signed_in(tmp_path, sign_in="environment").rows("/subscriptions", "2022-12-01"))

    assert ["/subscriptions?api-version=2022-12-01"] == [path for _, path in endpoint.seen]


@pytest.mark.parametrize(
    ("name", "endpoint", "scope", "authority"),
    [
        (
            "AzurePublicCloud",
            "https://management.azure.com",
            "https://management.azure.com/.default",
            "login.microsoftonline.com",
        ),
        (
            "AzureChinaCloud",
            "https://management.chinacloudapi.cn",
            "https://management.chinacloudapi.cn/.default",
            "login.chinacloudapi.cn",
        ),
        (
            "AzureUSGovernment",
            "https://management.usgovcloudapi.net",
            "https://management.core.usgovcloudapi.net/.default",
            "login.microsoftonline.us",
        ),
    ],
)
def test_a_cloud_has_its_own_endpoints(name: str, endpoint: str, scope: str, authority: str) -> None:
    """
    As azure-core and azure-identity have them.
    """
    cloud = cloud_of(name, {})

    assert (name, endpoint, scope, authority, True) == (
        cloud.name,
        cloud.endpoint,
        cloud.scope,
        cloud.authority,
        cloud.known,
    )


def test_another_endpoint_is_named_as_such_and_gets_tokens_of_its_own() -> None:
    """
    A token for Azure is not sent anywhere else, unless its audience is named on purpose.
    """
    own = cloud_of("AzurePublicCloud", {ENDPOINT: "https://arm.local:8443/", "AZURE_AUTHORITY_HOST": "https://sts/"})
    told = cloud_of("AzurePublicCloud", {ENDPOINT: "https://arm.local", AUDIENCE: "https://audience/"})

    assert ("https://arm.local:8443 (custom endpoint)", "https://arm.local:8443") == (own.name, own.endpoint)
    assert ("https://arm.local:8443/.default", "sts", False) == (own.scope, own.authority, own.known)
    assert "https://audience/.default" == told.scope


def test_the_endpoint_of_the_cloud_itself_is_no_other() -> None:
    """
    Whoever writes it out is on Azure all the same.
    """
    assert "AzurePublicCloud" == cloud_of("AzurePublicCloud", {ENDPOINT: "https://management.azure.com/"}).name


@pytest.mark.parametrize(
    "url",
    [
        "http://arm.local",
        "arm.local",
        "https://",
        "https://user:hunter2@arm.local",
        "https://arm.local/path",
        "https://arm.local?x=1",
        "https://arm.local:port",
        "https://[arm",
        "https://ärm.local",
        "https://evil.example\\@arm.local",
    ],
)
def test_what_is_no_endpoint_is_refused_and_not_repeated(url: str) -> None:
    """
    Tokens go over TLS to a host; a password in an address is not shown.
    """
    with pytest.raises(InvalidParameters) as caught:
        cloud_of("AzurePublicCloud", {ENDPOINT: url})

    assert ENDPOINT in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://ARM.local", "https://[::1]:8443"])
def test_an_endpoint_may_have_capitals_or_be_an_ipv6_address(url: str) -> None:
    """
    Both are addresses of a host.
    """
    assert url == cloud_of("AzurePublicCloud", {ENDPOINT: url}).endpoint


@pytest.mark.parametrize(
    "host", ["https://user:hunter2@sts.local", "user:hunter2@sts.local", "http://sts.local", "sts.local/x?y=hunter2"]
)
def test_what_is_no_authority_is_refused_and_not_repeated(host: str) -> None:
    """
    A password in it would be shown wherever the authority is.
    """
    with pytest.raises(InvalidParameters) as caught:
        cloud_of("AzurePublicCloud", {"AZURE_AUTHORITY_HOST": host})

    assert "AZURE_AUTHORITY_HOST" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_mark_names_an_endpoint_that_is_none_of_the_clouds(
    endpoint: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Nobody takes what came from there for Azure's.
    """
    _service_principal(monkeypatch)
    session = signed_in(tmp_path, sign_in="environment")

    assert f"AZURE {endpoint.url} (custom endpoint), tenant {TENANT}" == session.target.mark
