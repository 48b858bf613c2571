"""
The table of the service's error codes: whole, true to the notebooks, and used where a change fails.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from runbook_lib.folder import NOTEBOOKS
from runbook_lib.render import failure
from runbook_lib.sandbox.refusals import OURS
from runbook_lib.text import LANGUAGES
from runbook_lib.text.service_errors import explain, service_errors


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_code_has_cause_remedy_and_a_notebook_that_exists(language: str) -> None:
    """
    Whole sentences; a notebook's name, or none where none mends it.
    """
    table = service_errors(language)

    assert len(table) >= 50
    assert all(each.cause.endswith(".") and each.remedy.endswith(".") for each in table.values())
    assert {each.notebook for each in table.values()} <= {"", *NOTEBOOKS}
    assert table.keys() == service_errors("en").keys()


def test_a_code_is_found_in_any_case() -> None:
    """
    ARM's codes come in several spellings; one that nobody knows is not explained.
    """
    known = explain("authorizationfailed", "en")

    assert known is not None
    assert ("AuthorizationFailed", "00_start") == (known.code, known.notebook)
    assert explain("NobodyKnowsThis", "en") is None


def test_a_failed_change_says_cause_remedy_and_notebook() -> None:
    """
    After the service's own words; an unknown code keeps those alone, and what did not fail says nothing.
    """
    known = failure("ScopeLocked", "The scope is locked.", "en")

    assert known.startswith("ScopeLocked: The scope is locked. A management lock holds the scope")
    assert known.endswith("for the time of the change. See notebook 01_create_vault.")
    assert "Odd: It is odd" == failure("Odd", "It is odd.", "en")
    assert "" == failure("", "", "en")


def test_a_code_of_the_sandbox_alone_is_marked() -> None:
    """
    Nobody is to look for it in Azure: the table says which they are, and so does the failure.
    """
    simulated = {each.code for each in service_errors("en").values() if each.simulated}
    failed = failure("BMSUserErrorPolicyItemLimitReached", "Full.", "en")

    assert simulated == {code for code in OURS if explain(code, "en")}
    assert "Full (a code of the sandbox: Azure's own is not known). The policy protects" in failed


def test_the_missing_right_on_a_key_vault_is_explained() -> None:
    """
    The code that users of encrypted VMs report most.
    """
    known = explain("UserErrorKeyVaultPermissionsNotConfigured", "en")

    assert known is not None
    assert ("00_start", False) == (known.notebook, known.simulated)


@pytest.mark.skipif(not os.environ.get("RUNBOOK_REFERENCE"), reason="RUNBOOK_REFERENCE is unset")
def test_every_code_of_the_reference_is_explained() -> None:
    """
    The codes that recordings and reports of this job show are in the table.
    """
    file = Path(os.environ["RUNBOOK_REFERENCE"]) / "azure-specs" / "behaviour" / "error-catalogue.json"
    codes = {entry["code"] for entry in json.loads(file.read_text(encoding="utf-8"))}

    assert set() == {code for code in codes if explain(code, "en") is None}
