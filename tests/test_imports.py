"""
The import rules of the design, read off the sources: what each module may reach, and what none may do.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import runbook_lib

ROOT = Path(runbook_lib.__file__).parent
# Imports go upwards only: a module reaches those of the lines above its own, and of its own package.
ORDER = (
    ("private", "text", "secrets"),
    ("errors", "events", "places", "records"),
    ("naming",),
    ("parameters",),
    ("policy", "retention"),
    ("offering", "placement", "selection", "rights"),
    ("checks",),
    ("comparison", "plan"),
    ("scripts",),
    ("render", "journal", "stopping"),
    ("evidence",),
    ("folder", "lease", "redaction"),
    ("arm",),
    ("ui", "conclusion", "rehearsal"),
    ("applying",),
    ("state",),
    ("views",),
    ("choosing",),
    ("run",),
    ("kernel",),
    ("executing",),
    ("chain", "engine"),
    ("headless",),
    ("fleet",),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
# What only some modules may reach.
GATES = {
    "azure": ("arm", "sandbox.transport"),
    "ipywidgets": ("ui",),
    "IPython": ("ui",),
    "itables": ("ui",),
    "papermill": ("chain", "engine", "executing"),
    "nbclient": ("chain", "executing", "kernel"),
    "nbformat": ("executing",),
    "jupyter_client": ("kernel",),
    "pandas": ("render",),
    "matplotlib": ("render.pictures",),
    "PIL": ("render.pictures",),
    "click": ("cli",),
    "distributed": ("fleet",),
    "runbook_lib.sandbox": ("arm.opening", "cli", "sandbox"),
}
PURE = (
    "text",
    "errors",
    "records",
    "naming",
    "parameters",
    "policy",
    "retention",
    "offering",
    "placement",
    "selection",
    "rights",
    "checks",
    "comparison",
    "plan",
)
PURE += ("scripts", "render")
WITHOUT_IO = ("policy", "retention", "offering", "placement", "selection", "rights", "checks", "comparison", "plan")
IO = {"asyncio", "http", "io", "os", "pathlib", "platform", "random", "secrets", "shutil", "socket", "sqlite3"}
IO |= {"subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid", "zoneinfo"}
MUTATING = {"create_or_update", "delete", "register", "refresh", "trigger", "update"}


def _modules() -> Iterator[str]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _tree(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split(".")) if module else ROOT
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(source.read_text(encoding="utf-8"))


def _imports(module: str, *, at_load: bool = False) -> set[str]:
    """
    List what *module* imports, in full names; with *at_load* only what importing it brings in.
    """
    found: set[str] = set()
    nodes = _at_load(_tree(module).body) if at_load else ast.walk(_tree(module))
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert 0 == node.level, f"{module}: relative import"
            found |= {f"{node.module}.{each.name}" for each in node.names}
    return found


def _at_load(body: list[ast.stmt]) -> Iterator[ast.AST]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from ast.walk(node)


def _under(name: str, homes: tuple[str, ...]) -> bool:
    return any(name == home or name.startswith(f"{home}.") for home in homes)


def _own(imported: str) -> str:
    """
    Return the module of ours that *imported* (`runbook_lib.records.Plan`) lies in, without the package's name.
    """
    parts = imported.split(".")[1:]
    while parts and ".".join(parts) not in set(_modules()):
        parts.pop()
    return ".".join(parts)


MODULES = tuple(_modules())
OURS = tuple(module for module in MODULES if module and not _under(module, ("sandbox",)))
SANDBOX = tuple(module for module in MODULES if _under(module, ("sandbox",)))


def test_every_module_has_its_place_in_the_order() -> None:
    """
    A new module must be given one: the design says where.
    """
    assert set(RANK) == {module.split(".")[0] for module in OURS}


@pytest.mark.parametrize("module", OURS)
def test_imports_go_upwards_only(module: str) -> None:
    """
    A module reaches those above it and its own package, never one below.
    """
    own = module.split(".")[0]
    reached = {_own(each).split(".")[0] for each in _imports(module) if _under(each, ("runbook_lib",))} - {
        "",
        "sandbox",
    }

    assert set() == {each for each in reached if each != own and RANK[each] >= RANK[own]}


@pytest.mark.parametrize("module", SANDBOX)
def test_the_sandbox_imports_nothing_else_of_the_package(module: str) -> None:
    """
    Only so can it contradict the library; the sentences of its refusals stand with all others.
    """
    reached = {each for each in _imports(module) if _under(each, ("runbook_lib",))}

    assert set() == {each for each in reached if not _under(each, ("runbook_lib.sandbox", "runbook_lib.text"))}


@pytest.mark.parametrize("gate", GATES)
def test_a_gated_package_is_reached_from_its_gates_only(gate: str) -> None:
    """
    Azure, Jupyter, widgets, pandas, click and the sandbox each have few doors.
    """
    through = {module for module in MODULES if any(_under(each, (gate,)) for each in _imports(module))}

    assert set() == {module for module in through if not _under(module, GATES[gate])}
    assert through or gate in ("IPython", "nbclient")


@pytest.mark.parametrize("module", [module for module in OURS if _under(module, WITHOUT_IO)])
def test_judging_and_planning_have_neither_io_nor_a_clock(module: str) -> None:
    """
    Time and ids come in as arguments, so that the same inventory gives the same plan tomorrow.
    """
    calls = {ast.unparse(node.func) for node in ast.walk(_tree(module)) if isinstance(node, ast.Call)}
    clocks = ("now", "today", "utcnow", "monotonic", "getenv", "urandom")

    assert set() == {each.split(".")[0] for each in _imports(module)} & IO
    assert set() == {call for call in calls if call == "open" or call.split(".")[-1] in clocks}


@pytest.mark.parametrize("module", [module for module in OURS if _under(module, PURE)])
def test_the_pure_core_knows_of_no_network(module: str) -> None:
    """
    What stands above `arm` reaches neither Azure nor Jupyter nor a socket.
    """
    far = {"azure", "aiohttp", "http", "IPython", "ipywidgets", "jupyter_client", "nbclient", "papermill", "requests"}
    far |= {"socket", "ssl", "subprocess", "urllib", "werkzeug"}

    assert set() == {each.split(".")[0] for each in _imports(module)} & far


@pytest.mark.parametrize("module", OURS)
def test_only_apply_calls_what_writes(module: str) -> None:
    """
    A mutating SDK method, or a request that is no GET, stands among the writers of `arm.apply` alone.
    """
    calls = [node for node in ast.walk(_tree(module)) if isinstance(node, ast.Call)]
    methods = [call.func for call in calls if isinstance(call.func, ast.Attribute)]
    writes = {ast.unparse(each) for each in methods if each.attr.startswith("begin_") or each.attr in MUTATING}
    verbs = {ast.unparse(call.args[0]) for call in calls if ast.unparse(call.func) == "HttpRequest"}
    # A dictionary has an `update` too, and a hash.
    harmless = {"os.environ.update", "merged.setdefault(kind, {}).update", "hashed.update"}

    assert module == "arm.apply.writers" or set() == writes - harmless
    # A question by POST passes the read-only guard like everything else.
    assert verbs <= ({"'GET'", "'POST'"} if module == "arm.session" else {"'GET'"})


def test_apply_does_call_what_writes() -> None:
    """
    The rule above is about the methods that apply really uses.
    """
    calls = [node.func for node in ast.walk(_tree("arm.apply.writers")) if isinstance(node, ast.Call)]
    names = {call.attr for call in calls if isinstance(call, ast.Attribute)}

    assert {"begin_create_or_update", "begin_update", "create_or_update", "refresh", "register"} <= names


@pytest.mark.parametrize("module", MODULES)
def test_nothing_dangerous_is_called(module: str) -> None:
    """
    No evaluation of text, no pickle, no shell, no unverified TLS, no plain-text URL but the loopback's own.
    """
    tree = _tree(module)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {ast.unparse(call.func) for call in calls}
    options = {(each.arg, ast.unparse(each.value)) for call in calls for each in call.keywords}
    imported = {each.split(".")[0] for each in _imports(module)}

    assert set() == names & {"eval", "exec", "compile", "os.system", "os.popen", "yaml.load", "__import__"}
    assert set() == imported & {"pickle", "cPickle", "marshal", "shelve", "dill", "subprocess"}
    assert set() == options & {("shell", "True"), ("verify", "False"), ("connection_verify", "False")}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_prints(module: str) -> None:
    """
    The library returns what it has to say; the command line says it through click.
    """
    names = {ast.unparse(node.func) for node in ast.walk(_tree(module)) if isinstance(node, ast.Call)}

    assert set() == names & {"print", "sys.stdout.write", "sys.stderr.write", "pprint.pprint", "warnings.warn"}


@pytest.mark.parametrize("module", MODULES)
def test_no_exception_is_swallowed(module: str) -> None:
    """
    Nobody catches everything and goes on; what catches much passes it on.
    """
    handlers = [node for node in ast.walk(_tree(module)) if isinstance(node, ast.ExceptHandler)]
    broad = [each for each in handlers if each.type is None or ast.unparse(each.type) in ("Exception", "BaseException")]

    assert [] == [each.lineno for each in handlers if [ast.Pass] == [type(node) for node in each.body]]
    assert [] == [each.lineno for each in broad if not isinstance(each.body[-1], ast.Raise)]


@pytest.mark.parametrize(
    "module", [module for module in MODULES if len(_tree(module).body) > 1 and module not in ("", "__main__")]
)
def test_every_module_says_what_it_exports(module: str) -> None:
    """
    `__all__` is sorted, and names what is there.
    """
    tree = _tree(module)
    assigned = [
        node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    (listed,) = (ast.literal_eval(each.value) for each in assigned)
    constants = [each for each in listed if each.isupper()]
    classes = [each for each in listed if not each.isupper() and each[0].isupper()]
    there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    there |= {ast.unparse(each) for node in tree.body if isinstance(node, ast.Assign) for each in node.targets}
    there |= {ast.unparse(node.target) for node in tree.body if isinstance(node, ast.AnnAssign)}
    there |= {each.asname or each.name for node in tree.body if isinstance(node, ast.ImportFrom) for each in node.names}

    assert [*sorted(constants), *sorted(classes), *sorted(set(listed) - {*constants, *classes})] == listed
    assert set() == set(listed) - there
    assert ast.get_docstring(tree)


def _loaded_by(statement: str, missing: frozenset[str] = frozenset()) -> set[str]:
    """
    List the top-level packages that a fresh interpreter, where some are *missing*, holds after *statement*.
    """
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({sorted(missing)})); {statement}; "
        "print(*sorted({name.split('.')[0] for name, module in sys.modules.items() if module}))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(said.stdout.split())


def test_importing_the_package_is_light() -> None:
    """
    What notebooks use is loaded on first use.
    """
    assert set() == _loaded_by("import runbook_lib") & {
        "azure",
        "pandas",
        "ipywidgets",
        "matplotlib",
        "papermill",
        "runbook_lib.run",
    }


def test_the_package_exports_what_it_says() -> None:
    """
    `__all__` is what notebooks may use; nothing else is there, and all of it is.
    """
    from runbook_lib import run

    assert runbook_lib.__all__ == sorted(runbook_lib.__all__)
    assert {name: getattr(run, name) for name in runbook_lib.__all__} == {
        name: getattr(runbook_lib, name) for name in runbook_lib.__all__
    }
    assert set(runbook_lib.__all__) <= set(dir(runbook_lib))
    with pytest.raises(AttributeError, match="no attribute 'Inventory'"):
        _ = runbook_lib.Inventory


def test_verifying_needs_the_base_dependencies_only() -> None:
    """
    An auditor's machine has neither Azure's SDK nor Jupyter; where it has them, nothing but azure-core is touched,
    which securesystemslib looks for.
    """
    extras = {"IPython", "ipykernel", "ipywidgets", "jsonschema", "jupyter_client", "nbclient", "nbformat"}
    extras |= {"matplotlib", "numpy", "pandas", "papermill", "platformdirs", "waitress"}
    statement = "import runbook_lib.cli, runbook_lib.evidence"

    assert set() == _loaded_by(statement) & extras
    statement += "; runbook_lib.evidence.attestation._envelope()"
    assert "securesystemslib" in _loaded_by(statement, frozenset({"azure", *extras}))


def test_the_base_dependencies_are_what_the_pure_core_imports() -> None:
    """
    Nothing that `verify` loads is missing from the package's own requirements.
    """
    needed: set[str] = set()
    todo = ["cli", "evidence"]
    seen: set[str] = set()
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        # What evidence imports late is what opens the attestation and the keys.
        for each in _imports(module, at_load=not _under(module, ("evidence",))):
            if _under(each, ("runbook_lib",)):
                todo.append(_own(each))
            else:
                needed.add(each.split(".")[0])

    assert {"click", "cryptography", "securesystemslib", "tzlocal", "yaml"} == needed - set(sys.stdlib_module_names)
