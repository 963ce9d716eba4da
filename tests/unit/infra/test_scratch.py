"""What a dead worker left behind is swept; what a living one works in is not."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.jobs.scratch import abandoned, scratch, sweep


def test_only_what_nobody_works_in_is_swept(tmp_path: Path) -> None:
    (tmp_path / "of-a-dead-worker" / "job" / "1").mkdir(parents=True)
    with scratch(tmp_path) as living:
        (living / "job").mkdir()
        assert not (tmp_path / "of-a-dead-worker").exists()
        with scratch(tmp_path) as second:
            assert (living / "job").exists()
            assert second != living
        assert not second.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_living_worker_sweeps_for_the_others_and_not_itself(tmp_path: Path) -> None:
    with scratch(tmp_path) as living:
        (tmp_path / "of-a-dead-worker").mkdir()
        assert [folder.name for folder in abandoned(tmp_path)] == ["of-a-dead-worker"]
        assert sweep(tmp_path) == 1
        assert list(tmp_path.iterdir()) == [living]
        assert sweep(tmp_path / "nowhere") == 0


def test_many_workers_start_while_others_sweep(tmp_path: Path) -> None:
    """A folder is made a moment before it is locked: whoever loses it makes another."""

    def start(_: int) -> bool:
        with scratch(tmp_path) as mine:
            sweep(tmp_path)
            return mine.is_dir()

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(start, range(200)))
