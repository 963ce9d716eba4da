"""`make system` with programs of its own around it: what it asks for, and what it says where it cannot."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "install-system-packages"

JAVA = """echo 'openjdk version "{}.0.1" 2024-01-01' >&2"""
APT = """echo "$@" >> "$ASKED"; case " $* " in *" install "*) cp "$LATER" "${0%apt-get}java";; esac"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of programs that is all the script sees."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "sed", "ls", "cp", "env"):
        (programs / name).symlink_to(str(shutil.which(name)))
    return programs


def put(machine: Path, name: str, script: str) -> Path:
    program = machine / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def system(machine: Path) -> subprocess.CompletedProcess[str]:
    known = {"PATH": str(machine), "ASKED": str(machine.parent / "asked"), "LATER": str(machine.parent / "java")}
    return subprocess.run([SCRIPT], env=known, capture_output=True, text=True, check=False)


def debian(machine: Path, *, user: int = 0, knows_java: bool = True, brings: int = 17) -> None:
    put(machine, "id", f"echo {user}")
    put(machine, "apt-get", APT)
    put(machine, "apt-cache", "exit 0" if knows_java else "exit 100")
    put(machine.parent, "java", JAVA.format(brings))


def asked(machine: Path) -> list[str]:
    return (machine.parent / "asked").read_text().splitlines()


def test_it_installs_what_is_missing_and_nothing_else(machine: Path) -> None:
    debian(machine)
    put(machine, "java", JAVA.format(11))
    done = system(machine)
    assert done.returncode == 0, done.stderr
    update, install = asked(machine)
    assert update == "-q update"
    assert "openjdk-17-jre-headless maven" in install
    assert install.endswith("nodejs npm gcc libc6-dev")

    put(machine, "mvn", "")
    (machine.parent / "asked").unlink()
    system(machine)
    assert not any("maven" in line or "jre" in line for line in _asked_or_none(machine))


def _asked_or_none(machine: Path) -> list[str]:
    # Where PostgreSQL is on this machine, everything is there now, and nobody is asked.
    return asked(machine) if (machine.parent / "asked").exists() else []


def test_a_release_with_a_later_java_brings_that(machine: Path) -> None:
    debian(machine, knows_java=False, brings=21)
    assert system(machine).returncode == 0
    assert "default-jre-headless maven" in asked(machine)[-1]


def test_a_release_with_an_older_java_is_told(machine: Path) -> None:
    debian(machine, knows_java=False, brings=11)
    done = system(machine)
    assert done.returncode == 1
    assert "Java 17 or later is needed" in done.stderr


def test_elsewhere_it_says_what_to_install(machine: Path) -> None:
    done = system(machine)
    assert done.returncode == 1
    assert all(name in done.stderr for name in ("Java 17", "Maven", "PostgreSQL", "Node.js"))


def test_without_root_it_takes_sudo_or_says_the_command(machine: Path) -> None:
    debian(machine, user=1000)
    done = system(machine)
    assert done.returncode == 1
    assert "As root:  apt-get install openjdk-17-jre-headless maven" in done.stderr
    put(machine, "sudo", 'exec "$@"')
    assert system(machine).returncode == 0
    assert "maven" in asked(machine)[-1]


def test_it_can_be_started_as_it_is() -> None:
    assert os.access(SCRIPT, os.X_OK)
