"""Who is who below a worker, and what is left of the house when it should be gone."""

import os
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class JobProcess:
    """A process that works in a job's folder."""

    pid: int
    guard: int
    job: str


def jobs_of(worker: int, work_dir: Path) -> list[JobProcess]:
    """The jobs that run below a worker: the leaders, not what they have started."""
    found = []
    for process in _descendants(worker):
        try:
            # …/work/<worker's folder>/<job>/<attempt>/out; an upload is looked into in another place.
            below = Path(process.cwd()).relative_to(work_dir).parts
            if len(below) == 4 and process.pid == os.getsid(process.pid):
                found.append(JobProcess(process.pid, process.ppid(), below[1]))
        except (psutil.Error, OSError, ValueError):
            continue
    return found


def warm_server_of(worker: int) -> int | None:
    for process in _descendants(worker):
        try:
            if "infra.execution.warm" in process.cmdline() and process.ppid() == worker:
                return process.pid
        except psutil.Error:
            continue
    return None


def family(pid: int) -> list[int]:
    """A process and everything below it."""
    return [pid, *(process.pid for process in _descendants(pid))]


def in_folders_of_jobs(work_dir: Path) -> list[str]:
    """Processes that still work in the folder of a job, gone or not."""
    return [_told(process) for process in psutil.process_iter() if _cwd(process).startswith(f"{work_dir}/")]


def of_the_house(folder: Path) -> list[str]:
    """Processes that know of the soak's folder: by where they are, what they were told, or what they were called."""
    ours = {os.getpid(), os.getppid()}
    return [_told(p) for p in psutil.process_iter() if p.pid not in ours and str(folder) in _all_about(p)]


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _cwd(process: psutil.Process) -> str:
    try:
        return process.cwd()
    except (psutil.Error, OSError):
        return ""


def _all_about(process: psutil.Process) -> str:
    try:
        return " ".join([process.cwd(), *process.cmdline(), *process.environ().values()])
    except (psutil.Error, OSError):
        return ""


def _told(process: psutil.Process) -> str:
    try:
        return f"{process.pid} ({process.status()}): {' '.join(process.cmdline())[:120]}"
    except psutil.Error:
        return f"{process.pid}"
