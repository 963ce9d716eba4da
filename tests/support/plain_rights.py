"""`omniscope-ml` with no more rights than files give it, root or not: `python -m support.plain_rights agent noop`.

Root may write where nobody may. Without CAP_DAC_OVERRIDE it is bound by modes as everybody is.
"""

import ctypes
import os
import sys
from pathlib import Path

_PR_CAPBSET_DROP = 24
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2


def make_read_only(folder: Path) -> None:
    """Takes from everybody the right to write in the folder and below."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)


def make_writable(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)


if __name__ == "__main__":
    if os.geteuid() == 0:
        for capability in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
            # What is taken out of the bounding set, the next program that is executed does not get.
            if ctypes.CDLL(None, use_errno=True).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "cannot give up the right to write everywhere")
    os.execv(sys.executable, [sys.executable, "-m", "infra.cli", *sys.argv[1:]])
