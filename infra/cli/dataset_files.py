"""A person's file becomes a file in the first dataset root, under a name that is safe and says what is in it."""

import hashlib
import re
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from infra.cli.errors import CliError, ExitCode

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_STEM = 80


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine and what follows from its bytes. `format`: as told, or by its name."""

    path: Path
    sha256: str
    format: str

    @property
    def safe_stem(self) -> str:
        stem = _UNSAFE.sub("-", self.path.name.split(".")[0]).strip("-._")
        return stem[:_LONGEST_STEM] or "dataset"

    @property
    def default_id(self) -> str:
        """The same bytes under the same name are the same dataset; a changed file is another one."""
        return f"{self.safe_stem}-{self.sha256[:8]}"

    @property
    def stored_name(self) -> str:
        """Unique by content, so that no file in the root is ever overwritten by a different one."""
        compressed = ".gz" if self.path.suffix.lower() == ".gz" else ""
        return f"{self.safe_stem}-{self.sha256[:16]}.{self.format}{compressed}"


def look_at(path: Path, told_format: str | None) -> LocalFile:
    """Reads the file once, for its hash.

    Raises:
        CliError: it is no readable file, or its format is not known.
    """
    from handlers.datasets.formats import FORMATS, format_of_name

    if not path.is_file():
        why = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise CliError(f"{path} {why}", ExitCode.NOT_FOUND)
    format_ = told_format or format_of_name(path.name)
    if format_ not in FORMATS:
        raise CliError(
            f"{path.name}: the format {told_format or 'does not follow from the name'}"
            f"{' is not known' if told_format else ''}: use --format with one of {', '.join(FORMATS)}",
            ExitCode.USAGE,
        )
    with path.open("rb") as file:
        return LocalFile(path, hashlib.file_digest(file, "sha256").hexdigest(), format_)


def copy_into(root: str, file: LocalFile) -> str:
    """Copies the file into a dataset root; returns its uri there.

    Raises:
        CliError: the root is in an object store, which this command does not write to.
    """
    if "://" in root and not root.startswith("file://"):
        raise CliError(
            f"the first of DATASET_ROOTS is {root}: copy the file there with the store's own tool and "
            "publish datasets.uploaded with its address (omniscope-ml submit --kind datasets.uploaded)"
        )
    folder = Path(root.removeprefix("file://")).absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / file.stored_name
    if not (target.exists() and target.stat().st_size == file.path.stat().st_size):
        _copy_whole(file.path, target)
    return str(target)


def _copy_whole(source: Path, target: Path) -> None:
    """A reader of `target` sees the whole file or none."""
    draft = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        shutil.copyfile(source, draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
