"""What is promised about installing: extras that resolve, a vocabulary with two needs, documents that agree."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from events.topics import JobKind, Topic
from infra.settings import Settings

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)

#: What the vocabulary may import beside the standard library, with what these two bring along.
ALLOWED = {
    "aiokafka",
    "annotated_types",
    "async_timeout",
    "packaging",
    "pydantic",
    "pydantic_core",
    "typing_extensions",
    "typing_inspection",
    "events",
}

IMPORT_ALONE = f"""
import sys

class Gate:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        # A private top-level name is the interpreter's own: _sysconfigdata…
        if top[0] != "_" and top not in sys.stdlib_module_names and top not in {ALLOWED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}} (forbidden)", name=name)

sys.meta_path.insert(0, Gate())
import events, events.requests, events.outcomes, events.vocabulary, events.dead_letters
print(events.__file__)
"""


def requirements(names: list[str]) -> list[Requirement]:
    return [Requirement(name) for name in names]


def test_the_vocabulary_imports_with_pydantic_and_aiokafka_alone() -> None:
    ran = subprocess.run([sys.executable, "-c", IMPORT_ALONE], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    assert Path(ran.stdout.strip()).is_relative_to(ROOT)


def test_the_gate_of_that_test_keeps_something_out() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", IMPORT_ALONE + "\nimport sqlalchemy"], capture_output=True, text=True, cwd=ROOT
    )
    assert "forbidden" in ran.stderr


@pytest.mark.parametrize("package", ["events"])
def test_the_vocabulary_imports_itself_relatively(package: str) -> None:
    told = [
        path
        for path in (ROOT / package).glob("*.py")
        if re.search(rf"^\s*(from|import) {package}\b", path.read_text(), re.M)
    ]
    assert told == [], "it could not be shipped under another name"


def test_every_requirement_is_pinned_and_the_pin_fits() -> None:
    extras = PROJECT["optional-dependencies"]
    asked = requirements(PROJECT["dependencies"] + [name for extra in extras.values() for name in extra])
    others = [requirement for requirement in asked if requirement.name != PROJECT["name"]]
    missing = [str(asked) for asked in others if canonicalize_name(asked.name) not in PINS]
    assert missing == []
    outside = [str(asked) for asked in others if not asked.specifier.contains(PINS[canonicalize_name(asked.name)])]
    assert outside == []


def test_all_names_the_other_extras() -> None:
    extras = PROJECT["optional-dependencies"]
    (everything,) = requirements(extras["all"])
    assert everything.name == PROJECT["name"]
    assert everything.extras == {"api", "worker", "ray"} <= set(extras)


def test_the_constraints_hold_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9._-]+==[A-Za-z0-9._+!-]+", line)] == []


@pytest.mark.parametrize("module", ["infra.cli.main:main"])
def test_the_console_script_is_there(module: str) -> None:
    assert PROJECT["scripts"] == {"omniscope-ml": module}
    name, function = module.split(":")
    assert callable(getattr(__import__(name, fromlist=[function]), function))


def test_every_setting_is_explained_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    table = readme[readme.index("## Settings") :]
    told = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", table))
    assert {name.upper() for name in Settings.model_fields} - told == set()


def test_the_readme_tells_the_defaults_that_hold() -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| `([^`]*)` \|", (ROOT / "README.md").read_text(), re.M)
    defaults = {name.upper(): field.default for name, field in Settings.model_fields.items()}
    told = {name: value for name, value in rows if name in defaults and "/" not in value}
    assert len(told) >= 10
    assert {name: value for name, value in told.items() if not _same(value, defaults[name])} == {}


def _same(told: str, default: object) -> bool:
    return told == str(default) or (isinstance(default, float) and float(told) == default)


def test_every_kind_of_work_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    topics = [kind.topic for kind in JobKind if kind is not JobKind.NOOP]
    assert [topic for topic in [*topics, Topic.DATASETS_UPLOADED, Topic.DEAD_LETTERS] if topic not in readme] == []
