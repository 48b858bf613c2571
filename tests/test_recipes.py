"""
The recipes for schedulers: their command lines run, their workflow files are valid, their notebooks execute.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import papermill
import pytest
import yaml
from support import writes

from runbook_lib.sandbox import Sandbox

pytestmark = pytest.mark.commands

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / "docs" / "recipes.md").read_text(encoding="utf-8")
FENCED = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
FILES = {name: content for _, name, content in FENCED if name}


def _blocks(language: str) -> list[str]:
    return [content for kind, name, content in FENCED if kind == language and not name]


@pytest.fixture
def place(contoso: Sandbox, tmp_path: Path) -> Path:
    """
    A working folder with the files of the page, and the notebooks.
    """
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "notebooks").symlink_to(REPOSITORY / "notebooks")
    return tmp_path


def _bash(script: str, place: Path) -> subprocess.CompletedProcess[str]:
    """
    Run a script as the scheduler's shell does, with the commands of this environment.
    """
    found = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "RUNBOOK_HOME": str(place)}
    command = ["bash", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=place, env=os.environ | found, capture_output=True, text=True, check=False)


def _scripts(workflow: Any) -> list[str]:
    """
    List the scripts of a workflow file, but for those that install.
    """
    steps = workflow["jobs"]["plan"]["steps"] if "jobs" in workflow else workflow["steps"]
    found = [step.get("run") or step.get("script") for step in steps]
    return [each for each in found if each and "pip install" not in each]


def test_every_kind_of_block_is_known() -> None:
    """
    A new recipe must be tried as well.
    """
    assert {"cron", "python", "sh", "yaml"} == {kind for kind, _, _ in FENCED}
    assert {".github/workflows/backup-readiness.yml", "azure-pipelines.yml", "targets.yaml", "wave1.yaml"} == set(FILES)
    assert (1, 1, 3) == (len(_blocks("cron")), len(_blocks("python")), len(_blocks("sh")))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (".github/workflows/backup-readiness.yml", ("vendor.github-workflows",)),
        # As check-jsonschema's own hook for them: the schema has patterns of JavaScript, and expressions are no values.
        (
            "azure-pipelines.yml",
            ("vendor.azure-pipelines", "--data-transform", "azure-pipelines", "--regex-variant", "nonunicode"),
        ),
    ],
    ids=["github", "azure"],
)
def test_a_workflow_file_follows_its_schema(name: str, options: tuple[str, ...], place: Path) -> None:
    """
    The schemas are those that check-jsonschema carries, so that nothing is fetched.
    """
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *options, str(place / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", [".github/workflows/backup-readiness.yml", "azure-pipelines.yml"])
def test_the_scripts_of_a_workflow_run(name: str, place: Path) -> None:
    """
    In the order of the file, each in a shell that stops at the first error; what they wrote is an outcome and a run.
    """
    workflow = yaml.safe_load(FILES[name])
    scripts = _scripts(workflow)
    ended = [_bash(script, place) for script in scripts]

    assert scripts
    assert [0] * len(ended) == [each.returncode for each in ended], ended[-1].stderr
    assert yaml.safe_load((place / "outcome.json").read_text())["complete"]
    assert "CONSISTENT" in ended[-1].stdout


def test_the_line_for_cron_runs(contoso: Sandbox, place: Path) -> None:
    """
    Five fields, then a command in which cron's own per cent signs are escaped; its log is JSON lines.
    """
    (line,) = _blocks("cron")
    *fields, command = line.strip().split(maxsplit=5)
    done = _bash(command.replace("\\%", "%"), place)

    assert ["30", "6", "*", "*", "1-5"] == fields
    assert "%" not in command.replace("\\%", "")
    assert 0 == done.returncode, done.stderr
    assert "ENABLED" not in (place / "daily.txt").read_text()
    assert all(isinstance(yaml.safe_load(each), dict) for each in (place / "daily.jsonl").read_text().splitlines())
    assert [] == writes(contoso)


def test_the_other_command_lines_run(place: Path) -> None:
    """
    Two runs to compare are made first.
    """
    for name in ("first", "second"):
        assert 0 == _bash(f"runbook run -f wave1.yaml --out runs/{name}", place).returncode
    ended = {line: _bash(line, place) for block in _blocks("sh") for line in block.splitlines()}

    assert 3 == len(ended)
    assert dict.fromkeys(ended, 0) == {line: done.returncode for line, done in ended.items()}


def test_the_notebooks_of_the_airflow_recipe_execute(
    contoso: Sandbox, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    With the arguments of each PapermillOperator, as that one calls papermill, and Airflow's `ds` filled in.
    """
    monkeypatch.chdir(place)
    (recipe,) = _blocks("python")
    calls = [node for node in ast.walk(ast.parse(recipe)) if isinstance(node, ast.Call)]
    operators = [
        {each.arg: ast.literal_eval(each.value) for each in call.keywords}
        for call in calls
        if ast.unparse(call.func) == "PapermillOperator"
    ]
    for each in operators:
        filled = ast.literal_eval(repr(each).replace("{{ ds }}", "2026-11-29"))
        Path("runs").mkdir(exist_ok=True)
        papermill.execute_notebook(
            filled["input_nb"],
            filled["output_nb"],
            parameters=filled["parameters"],
            progress_bar=False,
            report_mode=True,
        )

        assert {"task_id", "input_nb", "output_nb", "parameters"} == set(each)
    assert ["start", "vaults"] == [each["task_id"] for each in operators]
    assert "create Recovery Services vault rsv-spaincentral" in Path("runs/vaults-2026-11-29.ipynb").read_text()
    assert [] == writes(contoso)
