"""
Canaries: secrets in what Azure answers and in the environment are in no file of a whole run, nor is what it prints.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from IPython.utils.capture import capture_output
from signing import key_files
from support import RunMaker

from runbook_lib.cli import main
from runbook_lib.evidence import SIGN_KEY, verify
from runbook_lib.evidence.keys import PASSPHRASE
from runbook_lib.parameters import Parameters
from runbook_lib.render import Shown
from runbook_lib.sandbox import Fault, Sandbox, read_estate
from runbook_lib.ui import Form

# One for each place; long enough to be in nothing by accident.
IN_TAG, IN_TAG_VALUE, IN_STATUS, IN_AGENT = (f"canary{number}zzqx" for number in range(4))
IN_USER_DATA, IN_SETTINGS, IN_WRITE, IN_READ, IN_QUESTION = (f"canary{number}zzqx" for number in range(4, 9))
IN_PASSPHRASE, IN_CLIENT_SECRET, IN_REASON, IN_FORM = (f"canary{number}zzqx" for number in range(9, 13))
CANARIES = {value for name, value in list(globals().items()) if name.startswith("IN_")}


def estate_with_canaries(sandbox: Sandbox) -> None:
    """
    Load the example estate with secrets wherever people and Azure put them.
    """
    estate = read_estate("contoso")
    resources, status = [], {name: dict(view) for name, view in estate.status.items()}
    for resource in estate.resources:
        if resource["type"].lower() == "microsoft.compute/virtualmachines":
            tags = {"db-password": IN_TAG, "link": f"https://x/?sv=1&sig={IN_TAG_VALUE}"}
            properties = resource["properties"] | {"userData": IN_USER_DATA}
            resource = resource | {"tags": resource.get("tags", {}) | tags, "properties": properties}
        if resource["type"].lower() == "microsoft.compute/virtualmachines/extensions":
            settings = {"settings": {"commandToExecute": f"run {IN_SETTINGS}"}}
            resource = resource | {"properties": resource["properties"] | settings}
        resources.append(resource)
    for view in status.values():
        agent = view.get("vmAgent")
        if isinstance(agent, dict):
            message = f"AccountKey={IN_AGENT}; token eyJhbGciOiJ9.eyJzdWIiOiJ9.{IN_AGENT}"
            view["vmAgent"] = agent | {
                "statuses": [each | {"message": message} for each in agent.get("statuses", ())],
            }
        view["extensions"] = [
            each | {"statuses": [one | {"message": f"Password={IN_STATUS}"} for one in each.get("statuses", ())]}
            for each in view.get("extensions", ())
        ]
    sandbox.load(dataclasses.replace(estate, resources=tuple(resources), status=status))


@pytest.mark.commands
def test_a_secret_gets_into_no_file_and_on_no_screen(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    An applied run with failures, signed: notebooks, report, journal, tables, and what is printed.
    """
    estate_with_canaries(contoso)
    signed = {"message": f"sent to https://x/?sig={IN_WRITE}&a=1, Bearer {IN_WRITE}.abc"}
    contoso.fault(Fault(method="PUT", path="/protecteditems/.*hr01$", status=400, code="UserErrorX", **signed))
    read = {"status": 403, "code": "AuthorizationFailed", "message": f"SharedAccessKey={IN_READ};"}
    contoso.fault(Fault(method="GET", path="/providers/microsoft.network/natgateways$", **read))
    asked = {"status": 400, "code": "BadRequest", "message": f"client_secret={IN_QUESTION}"}
    contoso.fault(Fault(method="POST", path="/effectivenetworksecuritygroups$", **asked))
    keys = key_files(tmp_path / "keys", IN_PASSPHRASE.encode())
    monkeypatch.setenv(SIGN_KEY, str(keys.private))
    monkeypatch.setenv(PASSPHRASE, IN_PASSPHRASE)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", IN_CLIENT_SECRET)
    out, copy = tmp_path / "run", tmp_path / "copy"
    vm = next(each["id"] for each in read_estate("contoso").resources if each["name"] == "hr01")
    options = [
        "-p",
        "vm_selector",
        "group:rg-data-prod",
        "-p",
        "accept_risk",
        json.dumps({vm: f"password={IN_REASON}"}),
    ]
    runs = [CliRunner().invoke(main, ["run", "--apply", "--out", str(out), *options], catch_exceptions=False)]
    contoso.clear_faults()
    runs.append(CliRunner().invoke(main, ["resume", str(out)], catch_exceptions=False))
    runs.append(CliRunner().invoke(main, ["redact", str(out), "--out", str(copy)], catch_exceptions=False))
    files = [path for folder in (out, copy) for path in folder.rglob("*") if path.is_file()]
    found = {
        f"{path.relative_to(tmp_path)}: {canary}"
        for path in files
        for canary in CANARIES
        if canary.encode() in path.read_bytes()
    }

    assert [5, 3, 0] == [each.exit_code for each in runs], runs[0].output
    assert set() == found
    assert set() == {canary for canary in CANARIES for each in runs if canary in each.output}
    assert "REDACTED" in (out / "journal.jsonl").read_text(encoding="utf-8")
    assert "REDACTED" in (out / "inventory-after.json").read_text(encoding="utf-8")
    assert {"report.html", "07_evidence.ipynb", "outcome.json"} <= {path.name for path in files}
    assert "authentic" == verify(out, key=keys.public).worth


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("proxy_host", f"http://svc:{IN_FORM}@proxy.contoso.com"),
        ("proxy_host", f"svc:{IN_FORM}@proxy.contoso.com"),
        ("proxy_port", f"http://svc:{IN_FORM}@proxy:3128"),
        ("vault_name", f"AccountKey={IN_FORM}"),
        ("subscription_ids", f"https://x/?sig={IN_FORM}"),
        ("vm_selector", f"tag:db-password={IN_FORM}"),
        ("weekly_retention_weeks", f"password={IN_FORM}"),
    ],
)
def test_the_twin_in_the_saved_notebook_keeps_no_secret_that_is_typed_in_ui(
    make_run: RunMaker, name: str, typed: str
) -> None:
    """
    Neither the value nor what is said of it repeats it, whether the form takes it or not.
    """
    form = make_run().form(name)
    control = form.controls[name]
    if name == "subscription_ids":
        control.options = [*control.options, (typed, typed)]
        control.value = (typed,)
    else:
        control.value = typed

    assert IN_FORM in str(form.values[name])
    assert IN_FORM not in form.static().html() + form.static().text()
    assert ("not accepted" in form.static().text()) == name.startswith("proxy_")


def test_an_error_in_ui_keeps_no_secret_either() -> None:
    """
    What a callback failed of stands in the twin.
    """

    def preview(asked: Parameters) -> Shown:
        raise ValueError(f"{asked.vault_name}: https://x/?sig={IN_FORM}")

    InteractiveShell.instance()
    form = Form(Parameters(), ("vault_name", "resource_group"))
    with capture_output():
        display(form)  # type: ignore[no-untyped-call]
    form._preview = preview
    with capture_output() as after, pytest.raises(ValueError, match="rsv-x"):
        form.controls["vault_name"].value = "rsv-x"
    InteractiveShell.clear_instance()

    (twin,) = after.outputs
    assert "ValueError" in twin.data["text/plain"]
    assert IN_FORM not in str(twin.data)
    assert IN_FORM not in form.children[-1].value
