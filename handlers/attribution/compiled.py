"""Functions in machine code, ready when their module has been imported.

Signatures are given, so that the compiling is done by the import: the warm server does it once, before the first
job, and a job's forked process has it for nothing. What was compiled is kept on disk where that can be written.
Nothing here runs in parallel, so an import starts no thread.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

#: A whole number, Python's or of any size: in machine code there is no difference.
Whole = int | np.integer[Any]

_Function = TypeVar("_Function", bound=Callable[..., object])


def compiled(signature: str) -> Callable[[_Function], _Function]:
    """Compiles a function for one signature in numba's words; its division follows IEEE 754, like numpy's."""

    def decorate(function: _Function) -> _Function:
        settings = {"nogil": True, "error_model": "numpy"}
        try:
            made: _Function = numba.njit(signature, cache=True, **settings)(function)
        except RuntimeError:  # nowhere to keep it: neither beside the source nor in a home directory
            made = numba.njit(signature, **settings)(function)
        return made

    return decorate
