"""What a dead worker left behind is swept; what a living one works in is not."""

from pathlib import Path

from infra.jobs.scratch import scratch


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
