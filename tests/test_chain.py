"""
Headless: the whole chain through the command line, plain papermill, and our engine.
"""

from __future__ import annotations

import base64
import html
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import papermill
import pytest
from click.testing import CliRunner, Result
from support import RunMaker, templates, writes

from runbook_lib.cli import main
from runbook_lib.errors import InvalidParameters
from runbook_lib.evidence import ATTESTATION, write_json
from runbook_lib.folder import NOTEBOOKS, read_plan
from runbook_lib.plan import plan_digest
from runbook_lib.sandbox import Fault, Sandbox
from runbook_lib.text.service_errors import service_errors

REPOSITORY = Path(__file__).parents[1]
NOTEBOOK_FOLDER = REPOSITORY / "notebooks"

pytestmark = pytest.mark.commands


def _runbook(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """
    One applied run on a fresh copy of the example estate, with VMs that nothing blocks.
    """
    folder = tmp_path_factory.mktemp("chain") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder.parent / "ipython"))
        result = _runbook(
            "run", "--estate", "contoso", "--apply", "--out", str(folder), "-p", "vm_selector", "tag:wave=1"
        )
    return folder, result


def test_a_wave_without_blocked_vms_ends_with_exit_code_0(executed: tuple[Path, Result]) -> None:
    """
    All selected VMs are enabled, and the last lines say where the evidence is.
    """
    folder, result = executed

    assert 0 == result.exit_code, result.output
    assert "ENABLED 7" in result.stdout
    assert str(folder) in result.stdout.splitlines()[-1]
    assert "target: SANDBOX (simulated)" == result.stdout.splitlines()[0]
    assert "enable backup of VM bi01" in result.stderr


def test_its_evidence_verifies(executed: tuple[Path, Result]) -> None:
    """
    `runbook verify` accepts the folder, and says the target first.
    """
    folder, _ = executed
    result = _runbook("verify", str(folder))

    assert 0 == result.exit_code
    assert "target: SANDBOX (simulated)" == result.stdout.splitlines()[0]
    assert "CONSISTENT" in result.stdout


def test_every_notebook_was_executed_from_1_to_n_and_marked(executed: tuple[Path, Result]) -> None:
    """
    Counters begin at 1 in each notebook of the shared kernel, the first output is the target's mark.
    """
    folder, _ = executed
    for name in NOTEBOOKS:
        cells = json.loads((folder / f"{name}.ipynb").read_text())["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        shown = next(cell for cell in code if cell["outputs"])

        assert list(range(1, len(code) + 1)) == [cell["execution_count"] for cell in code]
        assert "target: SANDBOX (simulated)" in "".join(shown["outputs"][0]["data"]["text/plain"])


def test_the_executed_notebooks_hold_no_widget_state_and_no_path_of_this_machine(executed: tuple[Path, Result]) -> None:
    """
    Saved widget state would run JavaScript when opened; paths say more than an auditor needs.
    """
    folder, _ = executed
    for name in NOTEBOOKS:
        content = (folder / f"{name}.ipynb").read_text()

        assert "widgets" not in json.loads(content)["metadata"]
        assert str(folder.parent) not in content
        assert str(REPOSITORY) not in content


def test_names_of_one_notebook_do_not_reach_the_next(executed: tuple[Path, Result]) -> None:
    """
    The kernel is reset in between, so that each notebook stands on its own.
    """
    folder, _ = executed
    environment = json.loads((folder / "environment.json").read_text())

    assert "one for the chain" == environment["kernel"]
    assert set(NOTEBOOKS) == set(environment["run"]["visited"])


def test_what_was_executed_is_not_in_the_users_history(executed: tuple[Path, Result]) -> None:
    """
    IPython keeps what is typed in a database of its own, where nobody looks for what a run was given.
    """
    folder, _ = executed

    assert [] == list((folder.parent / "ipython").rglob("history.sqlite*"))


def test_papermill_is_imported_without_a_grammar_that_no_notebook_needs() -> None:
    """
    Building it takes longer than all else that a run imports; whoever needs it later can have it.
    """
    code = (
        "import sys\n"
        "from runbook_lib.chain import _without_iris\n"
        "with _without_iris():\n    import papermill, runbook_lib.executing\n"
        "assert 'jsonschema' in sys.modules and 'rfc3987_syntax' not in sys.modules\n"
        "import rfc3987_syntax\n"
    )

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_a_second_run_sends_no_write(executed: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The same command on the same state only reads.
    """
    folder, _ = executed
    path = folder.with_name("run.sandbox.sqlite")
    monkeypatch.setenv("RUNBOOK_SANDBOX", str(path))
    sandbox = Sandbox(path)
    since, before = sandbox.requests()[-1]["seq"], sandbox.state_digest()
    result = _runbook("run", "--apply", "--out", str(folder.with_name("again")), "-p", "vm_selector", "tag:wave=1")

    assert 0 == result.exit_code, result.output
    assert [] == writes(sandbox, since)
    assert before == sandbox.state_digest()
    sandbox.close()


def test_json_output_is_the_outcome_alone(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Progress goes to standard error; planning with blocked VMs ends with 3 and writes nothing.
    """
    result = _runbook("run", "--json", "--out", str(tmp_path / "r"))
    outcome = json.loads(result.stdout)

    assert 3 == result.exit_code == outcome["exit_code"]
    assert outcome["counts"]["BLOCKED"] >= 1
    assert not outcome["applied"]
    assert [] == writes(contoso)


def test_a_chain_that_only_plans_reads_the_estate_once(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Eight notebooks share what the first one read, and it is what they found afterwards as well.
    """
    folder = tmp_path / "r"
    _runbook("run", "--out", str(folder), "-p", "vm_selector", "tag:wave=1")
    lists = Counter(each["path"].lower() for each in contoso.requests() if each["path"].endswith("virtualMachines"))

    # Of each subscription the VMs, and their status.
    assert {2} == set(lists.values())
    assert (folder / "inventory-before.json").read_bytes() == (folder / "inventory-after.json").read_bytes()
    assert 0 == _runbook("verify", str(folder)).exit_code


def test_long_tables_are_whole_in_files_that_the_attestation_covers(
    contoso: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Also on standard output, where a large estate would be tens of thousands of lines.
    """
    monkeypatch.setattr("runbook_lib.render.sinks.MOST_ROWS", 3)
    monkeypatch.setattr("runbook_lib.render.MOST_ROWS", 3)
    folder = tmp_path / "r"
    result = _runbook("run", "--out", str(folder), "-p", "vm_selector", "tag:wave=1")
    rows = (folder / "tables" / "comparison.csv").read_text(encoding="utf-8").splitlines()
    planned = (folder / "tables" / "plan.csv").read_text(encoding="utf-8").splitlines()
    sealed = json.loads(base64.b64decode(json.loads((folder / ATTESTATION).read_text())["payload"]))["subject"]

    assert "(the worst 3 of 7 rows; all of them: tables/comparison.csv)" in result.stdout
    assert f"(first 3 of {len(planned) - 1} rows; all of them: tables/plan.csv)" in result.stdout
    assert 8 == len(rows)
    assert {"tables/comparison.csv", "tables/plan.csv"} <= {each["name"] for each in sealed}


def test_an_interrupted_run_is_incomplete_until_it_is_resumed(contoso: Sandbox, tmp_path: Path) -> None:
    """
    A run that fails leaves no seal; `resume` finishes it and the evidence verifies.
    """
    folder = tmp_path / "r"
    contoso.fault(Fault(method="PUT", path="/protecteditems/.*bi01$", status=400, code="UserErrorX", times=1))
    first = _runbook("run", "--apply", "--out", str(folder), "-p", "vm_selector", "tag:wave=1")

    assert 5 == first.exit_code, first.output

    assert "runbook resume" in first.stdout.splitlines()[-1]
    assert 1 == _runbook("verify", str(folder)).exit_code

    contoso.clear_faults()
    walked = (folder / "04_select_vms.ipynb").read_bytes()
    approved = (folder / "plan.json").read_bytes()
    plan = read_plan(folder / "plan.json")
    edited = replace(plan, steps=plan.steps[:-1])
    write_json(folder / "plan.json", replace(edited, digest=plan_digest(edited)))
    since = contoso.requests()[-1]["seq"]
    refused = _runbook("resume", str(folder))

    assert 4 == refused.exit_code, refused.output
    assert "the plan that was approved last" in refused.stderr
    assert [] == writes(contoso, since)

    (folder / "plan.json").write_bytes(approved)
    second = _runbook("resume", str(folder))

    assert 0 == second.exit_code, second.output
    assert 0 == _runbook("verify", str(folder)).exit_code
    # The plan that was shown and approved is the one that goes on.
    assert walked == (folder / "04_select_vms.ipynb").read_bytes()


def test_a_run_that_is_resumed_in_a_world_that_moved_is_planned_anew(
    contoso: Sandbox, tmp_path: Path, make_run: RunMaker
) -> None:
    """
    Somebody changed a vault that the plan rests on: what is missing is planned on what is there now.
    """
    folder = tmp_path / "r"
    contoso.fault(Fault(method="PUT", path="/protecteditems/.*bi01$", status=400, code="UserErrorX"))
    first = _runbook("run", "--apply", "--out", str(folder), "-p", "vm_selector", "name:bi01")
    other = make_run(vm_selector="name:bi01", redundancy="ZoneRedundant")
    other.apply_plan(other.plan, ["02"])
    contoso.clear_faults()
    walked = (folder / "04_select_vms.ipynb").read_bytes()
    second = _runbook("resume", str(folder))

    assert (5, 0) == (first.exit_code, second.exit_code), second.output
    assert walked != (folder / "04_select_vms.ipynb").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-p", "vault_name", "1-bad"), ("vault_name", "1-bad", "2 to 50")),
        (("-p", "valt_name", "rsv"), ("valt_name", "vault_name")),
        (("-p", "location", "atlantis"), ("atlantis", "westeurope")),
        (("-p", "create_resource_group", "false", "-p", "vm_selector", "name:bi01"), ("rg-backup-spaincentral",)),
        (("--estate", "{folder}/broken.json"), ("broken.json",)),
        (("-p", "hourly_interval", "four"), ("hourly_interval", "int")),
        (("-p", "redundancy", "LRS"), ("redundancy", "LocallyRedundant")),
        (("-f", "{folder}/missing.yaml"), ("missing.yaml",)),
        (("-f", "{folder}/code.yaml"), ("code.yaml",)),
        (("-p", "run_dir", "x"), ("--out",)),
        (("-f", "{folder}/bomb.yaml"), ("bomb.yaml", "aliases")),
        (("-f", "/dev/zero"), ("/dev/zero",)),
        (("--target", "azure", "--estate", "contoso"), ("--estate",)),
    ],
)
def test_wrong_input_ends_with_exit_code_2_and_nothing_written(
    contoso: Sandbox, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """
    One clear message each: the field, the value, the rule.
    """
    (tmp_path / "broken.json").write_text('{"estate": 1')
    (tmp_path / "bomb.yaml").write_text("vm_selector: &a [x]\naccept_risk: [*a, *a]")
    (tmp_path / "code.yaml").write_text("!!python/object/apply:os.system [true]")
    filled = [each.format(folder=tmp_path) for each in arguments]
    before = contoso.state_digest()
    result = _runbook("run", "--out", str(tmp_path / "r"), *filled)

    assert 2 == result.exit_code, result.output
    assert not list(tmp_path.glob("r*"))
    assert all(word in result.stderr for word in words), result.stderr
    assert "Traceback" not in result.output
    assert before == contoso.state_digest()


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    """
    Three mistakes, three lines, before a kernel starts or a folder is made.
    """
    folder = tmp_path / "r"
    wrong = {"vault_name": "1", "backup_time": "9", "proxy_port": "0"}
    given = [word for name, value in wrong.items() for word in ("-p", name, value)]
    result = _runbook("run", "--out", str(folder), *given)

    assert 2 == result.exit_code
    assert 3 == len(result.stderr.strip().splitlines())
    assert not folder.exists()


def _papermill(notebook: str, output: Path, **parameters: Any) -> Any:
    return papermill.execute_notebook(
        str(NOTEBOOK_FOLDER / f"{notebook}.ipynb"), str(output), parameters=parameters, progress_bar=False
    )


def test_plain_papermill_plans_and_is_marked_unsupervised(contoso: Sandbox, tmp_path: Path) -> None:
    """
    `papermill notebooks/01_create_vault.ipynb out.ipynb -p vault_name rsv-x` works, and only plans.
    """
    command = [sys.executable, "-m", "papermill", str(NOTEBOOK_FOLDER / "01_create_vault.ipynb"), "out.ipynb"]
    command += ["-p", "vault_name", "rsv-x", "-p", "run_dir", "r", "-p", "vm_selector", "name:bi01"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    assert "create Recovery Services vault rsv-x in spaincentral" in (tmp_path / "out.ipynb").read_text()
    assert [] == writes(contoso)


def test_our_engine_refuses_unknown_parameters_before_a_kernel_starts(contoso: Sandbox, tmp_path: Path) -> None:
    """
    papermill alone would only log the unknown name and run with the default.
    """
    output = tmp_path / "out.ipynb"
    with pytest.raises(InvalidParameters, match="valt_name"):
        papermill.execute_notebook(
            str(NOTEBOOK_FOLDER / "01_create_vault.ipynb"),
            str(output),
            parameters={"valt_name": "rsv-x"},
            engine_name="runbook",
            progress_bar=False,
        )

    assert not output.exists() or not json.loads(output.read_text())["cells"][1]["execution_count"]
    assert [] == contoso.requests()


def test_our_engine_runs_a_single_notebook(contoso: Sandbox, tmp_path: Path) -> None:
    """
    `papermill --engine runbook` executes in a kernel of its own, without widget state.
    """
    executed = papermill.execute_notebook(
        str(NOTEBOOK_FOLDER / "00_start.ipynb"),
        str(tmp_path / "out.ipynb"),
        parameters={"run_dir": str(tmp_path / "r")},
        engine_name="runbook",
        progress_bar=False,
    )

    assert "widgets" not in executed.metadata


def test_papermill_applies_a_step_when_told_to(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Parameter `apply` approves the plan of the one notebook that it is given to.
    """
    _papermill(
        "01_create_vault", tmp_path / "o.ipynb", run_dir=str(tmp_path / "r"), vm_selector="name:bi01", apply=True
    )

    assert any("/vaults/rsv-spaincentral" in each["id"] for each in contoso.resources())
    assert not [each for each in writes(contoso) if "protecteditems" in each.lower()]


def test_an_error_in_a_notebook_says_what_to_do_and_no_path(contoso: Sandbox, tmp_path: Path) -> None:
    """
    The saved cell holds the sentence, not a traceback through this machine's folders.
    """
    with pytest.raises(papermill.PapermillExecutionError):
        _papermill("01_create_vault", tmp_path / "o.ipynb", run_dir=str(tmp_path / "r"), vault_name="1-bad")
    cells = json.loads((tmp_path / "o.ipynb").read_text())["cells"]
    (error,) = [
        output
        for cell in cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "error" and cell["cell_type"] == "code"
    ]

    assert "InvalidParameters" == error["ename"]
    assert "2 to 50" in "".join(error["traceback"])
    assert "runbook_lib" not in "".join(error["traceback"])


def test_a_folder_that_holds_something_is_not_taken(contoso: Sandbox, tmp_path: Path) -> None:
    """
    What lies there is no part of the run, and an unfinished run's own sandbox must not be lost.
    """
    folder = tmp_path / "r"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    result = _runbook("run", "--estate", "contoso", "--out", str(folder))

    assert 2 == result.exit_code
    assert ["notes.txt"] == [path.name for path in folder.iterdir()]
    assert not list(tmp_path.glob("r.sandbox*"))


def test_a_failed_change_says_why_everywhere(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Code, message, cause, remedy and notebook: as it happens, at the end, in the evidence notebook, in its table and in
    the outcome; and what was not made is no promise that was kept.
    """
    rule = {"method": "PUT", "path": "/protecteditems/.*bi01$", "status": 409, "code": "ScopeLocked"}
    contoso.fault(Fault(**rule, message="The scope is locked.", times=1))
    folder = tmp_path / "r"
    result = _runbook("run", "--apply", "--out", str(folder), "-p", "vm_selector", "name:bi01")
    shown = json.loads((folder / "07_evidence.ipynb").read_text())["cells"]
    texts = {
        "".join(cell["source"]): "".join("".join(each["data"]["text/plain"]) for each in cell["outputs"])
        for cell in shown
        if cell["cell_type"] == "code" and cell["outputs"]
    }
    (failed,) = json.loads((folder / "outcome.json").read_text())["failures"]
    why = "ScopeLocked: The scope is locked. A management lock holds the scope that the message names."

    assert all(why in said for said in (result.stderr, result.stdout, (folder / "tables" / "plan.csv").read_text()))
    assert why in texts["run.show_whole_plan()"]
    assert why in failed["why"]
    assert ("ScopeLocked", "The scope is locked.", "04") == (failed["code"], failed["message"], failed["step"])
    assert failed["why"].endswith(f"See notebook {failed['notebook']}.")
    assert "enable backup of VM bi01" in texts["run.show_differences()"]
    assert "is what the plan promised" not in texts["run.show_differences()"]


def test_the_end_of_a_run_has_what_a_next_one_needs(contoso: Sandbox, tmp_path: Path) -> None:
    """
    The ids that accept_risk takes, in its form; and no log of a database beside the run.
    """
    folder = tmp_path / "r"
    result = _runbook("run", "--estate", "contoso", "--out", str(folder), "-p", "vm_selector", "name:core01")
    held = next(line for line in result.stdout.splitlines() if line.startswith("  BLOCKED /subscriptions/"))
    given = json.dumps({held.split()[1]: "rehearsed"})
    again = _runbook(
        "run", "--out", str(tmp_path / "again"), "-p", "vm_selector", "name:core01", "-p", "accept_risk", given
    )

    assert '-p accept_risk \'{"ID": "reason"}\'' in result.stdout
    assert "enable backup of VM core01" in again.stdout
    assert ["r.sandbox.sqlite"] == [path.name for path in tmp_path.glob("r.sandbox*")]
    assert held.split()[1] in (folder / "tables" / "comparison.csv").read_text()


def test_a_verdict_that_got_worse_is_told(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Protection that is resumed has an old recovery point: BLOCKED until the next backup, and said so.
    """
    result = _runbook("run", "--apply", "--out", str(tmp_path / "r"), "-p", "vm_selector", "name:sql02")

    assert "sql02 (group rg-data-prod) was READY and is BLOCKED: " in result.stdout
    assert "this ends with the next backup." in result.stdout


def _outputs(folder: Path) -> str:
    """
    Return all that the cells of a run's notebooks have shown.
    """
    cells = [cell for name in NOTEBOOKS for cell in json.loads((folder / f"{name}.ipynb").read_text())["cells"]]
    shown = [each["data"]["text/plain"] for cell in cells for each in cell.get("outputs", ()) if "data" in each]
    return "\n".join("".join(each) for each in shown)


class _Blank(dict[str, str]):
    """
    Facts for any sentence: a break stands for each.
    """

    def __missing__(self, name: str) -> str:
        return "\n"


def _english() -> set[str]:
    """
    Return the longer pieces of English sentences, without their facts.
    """
    said = [each.format_map(_Blank()) for each in templates("en").values()]
    said += [words for each in service_errors("en").values() for words in (each.cause, each.remedy)]
    pieces = {piece.strip() for each in said for piece in each.split("\n") if len(piece.split()) >= 3}
    # Names such as that of Azure Disk Encryption are the same in both.
    spanish = "\n".join(templates("es").values())
    return {piece for piece in pieces if piece not in spanish}


@pytest.fixture(scope="module")
def spanish(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """
    A run in Spanish that applies: a VM that gets enabled, and one that is blocked.
    """
    folder = tmp_path_factory.mktemp("cadena") / "run"
    selected = ("-p", "vm_selector", "group:rg-data-prod", "-p", "language", "es")
    result = _runbook("run", "--estate", "contoso", "--apply", "--out", str(folder), *selected)
    return folder, result


def test_a_spanish_run_executes_the_spanish_notebooks(spanish: tuple[Path, Result]) -> None:
    """
    Their prose is Spanish, their code that of the English ones, and the evidence says which they were.
    """
    folder, result = spanish
    executed = json.loads((folder / "01_create_vault.ipynb").read_text())

    assert result.exit_code in (0, 3), result.output
    assert "# Crear un almacén de Recovery Services" == "".join(executed["cells"][0]["source"]).splitlines()[0]
    assert "notebooks/es/01_create_vault.ipynb" == executed["metadata"]["papermill"]["input_path"]
    assert 0 == _runbook("verify", str(folder)).exit_code


def test_a_spanish_run_says_nothing_in_english(spanish: tuple[Path, Result]) -> None:
    """
    Outputs of notebooks, progress, the end of the command, the sentences of the outcome, and the report; the words of
    Azure stay.
    """
    folder, result = spanish
    outcome = json.loads((folder / "outcome.json").read_text())
    sentences = [each[name] for each in outcome["verdicts"] for name in ("why", "remedy")]
    report = html.unescape((folder / "report.html").read_text(encoding="utf-8"))
    shown = re.sub(r"\s+", " ", "\n".join([_outputs(folder), result.stdout, result.stderr, *sentences, report]))

    assert [] == sorted(piece for piece in _english() if piece in shown)
    assert "habilitar la copia de seguridad de la VM" in shown
    assert '<html lang="es">' in report
    assert "target: SANDBOX (simulated)" == result.stdout.splitlines()[0]


def test_verdicts_do_not_depend_on_the_language(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Facts and verdicts are the same; only the sentences differ.
    """
    found = {}
    for language in ("en", "es"):
        folder = tmp_path / language
        _runbook("run", "--out", str(folder), "-p", "vm_selector", "name:core01", "-p", "language", language)
        findings = json.loads((folder / "findings.json").read_text())
        outcome = json.loads((folder / "outcome.json").read_text())
        found[language] = findings, outcome["counts"], [each["decisive"] for each in outcome["verdicts"]]

    assert found["en"] == found["es"]


def test_errors_of_a_run_are_in_its_language(contoso: Sandbox, tmp_path: Path) -> None:
    """
    Before a kernel starts and in a cell; the next command speaks English again.
    """
    early = _runbook("run", "--out", str(tmp_path / "a"), "-p", "language", "es", "-p", "proxy_port", "0")
    late = _runbook("run", "--out", str(tmp_path / "b"), "-p", "language", "es", "-p", "vm_selector", "name:nobody")
    other = _runbook("run", "--out", str(tmp_path / "c"), "-p", "proxy_port", "0")

    assert "El parámetro 'proxy_port' es 0" in early.stderr
    assert "no selecciona ninguna de las" in late.stderr
    assert "Parameter 'proxy_port' is 0" in other.stderr


def test_a_resumed_run_keeps_its_language(contoso: Sandbox, tmp_path: Path) -> None:
    """
    What stopped it is explained in it, and so is the end.
    """
    folder = tmp_path / "r"
    contoso.fault(Fault(method="PUT", path="/protecteditems/.*bi01$", status=409, code="ScopeLocked", times=1))
    first = _runbook("run", "--apply", "--out", str(folder), "-p", "vm_selector", "name:bi01", "-p", "language", "es")
    second = _runbook("resume", str(folder))

    assert "Un bloqueo de administración protege el ámbito" in first.stdout
    assert "Sin sellar" in first.stdout
    assert "Sellada" in second.stdout
