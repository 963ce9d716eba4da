"""A job's log: the beginning and the end of what it printed, in bounded space, whatever happens."""

from infra.execution.log import BoundedLog


def test_what_fits_is_kept_whole(tmp_path):
    log = BoundedLog(tmp_path / "log.txt", head=10, tail=10)
    log.write(b"0123456")
    log.write(b"789abcdef")
    assert log.close() == "0123456789abcdef"
    assert (tmp_path / "log.txt").read_text() == "0123456789abcdef"
    assert (tmp_path / "log.txt").stat().st_mode & 0o077 == 0


def test_what_does_not_fit_is_left_out_in_the_middle_and_counted(tmp_path):
    log = BoundedLog(tmp_path / "log.txt", head=4, tail=4)
    for number in range(1000):
        log.write(b"%03d " % number)
    assert log.close().endswith("998 999")
    assert (tmp_path / "log.txt").read_text() == "000 \n[… 3992 bytes left out …]\n999 "


def test_a_log_that_cannot_be_written_still_tells_the_last_lines(tmp_path):
    (tmp_path / "log.txt").symlink_to("/dev/full")
    log = BoundedLog(tmp_path / "log.txt")
    log.write(b"\xff the end\n")
    assert log.close() == "\ufffd the end"
