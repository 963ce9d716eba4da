"""The jars of Apache Kafka, brought by Maven once for this checkout."""

import fcntl
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from .parts import missing

_ROOT = Path(__file__).parents[2]
_POM = _ROOT / "tests" / "kafka" / "pom.xml"
_FOLDER = _ROOT / ".kafka"
_JAVA = 17
_FETCH_S = 110


def kafka_jars() -> Path:
    """The folder with the jars, fetched if nobody has yet. Skips the test where that cannot be, see `missing`."""
    if (java := _java_version()) < _JAVA:
        found = f"Java {java} is" if java else "no Java is"
        missing(f"Apache Kafka needs Java {_JAVA}, and {found} installed", "`make system`")
    # Named for what it is made of: another version in the pom is fetched anew.
    jars = _FOLDER / f"jars-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]}"
    _FOLDER.mkdir(exist_ok=True)
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.is_dir():
            _fetch(jars)
    return jars


def _java_version() -> int:
    """The major version; 0 where there is none."""
    if shutil.which("java") is None:
        return 0
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0


def _fetch(jars: Path) -> None:
    if shutil.which("mvn") is None:
        missing("Apache Kafka's jars are not here, and neither is Maven to bring them", "`make system`")
    half = jars.with_suffix(".part")
    command = ["mvn", "-B", "-q", "-f", str(_POM), "dependency:copy-dependencies", f"-DoutputDirectory={half}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_S, check=False)
    except subprocess.TimeoutExpired:
        missing(f"Maven did not bring Apache Kafka within {_FETCH_S} s", "try again: it goes on where it was")
    if done.returncode != 0:
        told = next((line for line in done.stdout.splitlines() if line.startswith("[ERROR]")), "it does not say why")
        missing("Maven cannot bring Apache Kafka", told.removeprefix("[ERROR] ")[:500])
    half.rename(jars)
