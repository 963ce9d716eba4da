"""What `doctor` says of things that nobody needs any more. A running worker takes them away within the hour or so."""

from typing import TYPE_CHECKING

from infra.cli.checks import Finding
from infra.cli.console import counted
from infra.cli.extras import missing

if TYPE_CHECKING:
    from infra.settings import Settings

#: Seconds for the look into the store.
_LOOK_S = 6.0
#: A worker that tidies would have been here: what is older than this is waiting for one.
_OVERDUE_S = 3 * 3600.0
_REMEDY = "keep a worker running on this machine (omniscope-ml agent …): it clears up within two hours"


async def in_the_store(settings: "Settings") -> Finding:
    """Files of attempts that did not count, old checkpoints, and models that no job here has made."""
    if missing("worker"):
        return Finding("leftovers", "cannot be looked at without the extra [worker]")
    from infra.jobs import janitor
    from infra.jobs.ports import StoreError
    from infra.storage.short_look import ShortLook, TimeIsUp

    try:
        look = ShortLook(settings.artifacts, _LOOK_S)
        litter = await janitor.find(look)
    except StoreError as error:
        return Finding("leftovers", f"{settings.artifacts}: {error}", "correct what ARTIFACTS_URI names, or its rights")
    except TimeIsUp:
        return Finding("leftovers", f"{settings.artifacts} is too large, or too slow, to be looked through in a moment")
    overdue = [folder for folder in litter.folders if look.seconds_since_change(folder) > _OVERDUE_S]
    told = f"{settings.artifacts} holds {counted(len(litter.attempts), 'attempt')} that did not count"
    told += f" and {counted(len(litter.checkpoints), 'old checkpoint')}"
    if litter.unknown:
        told += f"; {counted(len(litter.unknown), 'model')} of no job known here, e.g. {litter.unknown[0]}"
    return Finding("leftovers", told, _REMEDY if overdue else None)


async def on_this_machine(settings: "Settings") -> Finding:
    """Copies of datasets against their bound, copies that were never completed, and folders of dead workers."""
    if missing("worker"):
        return Finding("cache", "cannot be looked at without the extra [worker]")
    import asyncio

    return await asyncio.to_thread(_on_this_machine, settings)


def _on_this_machine(settings: "Settings") -> Finding:
    from infra.jobs import scratch
    from infra.storage import leftovers

    cache = settings.cache_dir / "datasets"
    size_gb = sum(copy.size for copy in leftovers.copies(cache)) / 1e9
    halves = len(list(leftovers.abandoned_copies(cache)))
    folders = len(list(scratch.abandoned(settings.work_dir)))
    bound = f" of CACHE_MAX_GB = {settings.cache_max_gb:g}" if settings.cache_max_gb else ""
    told = f"{size_gb:.1f} GB{bound} of datasets in {cache}"
    left = [counted(n, what) for n, what in ((halves, "unfinished file"), (folders, "dead worker's folder")) if n]
    too_large = bool(settings.cache_max_gb) and size_gb > settings.cache_max_gb
    fact = "; ".join([told, *left])
    return Finding("cache", fact, _REMEDY if left or too_large else None)
