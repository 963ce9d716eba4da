"""Which addresses may become datasets."""

import os

import pytest

from events.errors import OmniScopeError
from infra.storage.roots import resolve


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "datasets"
    (root / "cohort one").mkdir(parents=True)
    (root / "cohort one/a.csv").write_text("x\n1\n")
    (root / "50%25.csv").write_text("x\n1\n")
    (tmp_path / "secret.csv").write_text("x\n1\n")
    (tmp_path / "datasets-too").mkdir()
    (tmp_path / "datasets-too/b.csv").write_text("x\n1\n")
    (root / "inside").symlink_to("cohort one")
    (root / "outside").symlink_to(tmp_path)
    (root / "leaf.csv").symlink_to(tmp_path / "secret.csv")
    (root / "loop").symlink_to("loop")
    return root


def test_every_way_to_write_an_address_inside_leads_to_the_file(root):
    file = str(root / "cohort one/a.csv")
    roots = [str(root)]
    assert resolve(file, roots) == file
    assert resolve(f"{root}/inside/../cohort one//a.csv", roots) == file
    assert resolve(f"file://{root}/cohort%20one/a.csv", roots) == file
    assert resolve(f"file://localhost{root}/inside/a.csv", roots) == file
    assert resolve(f"{root}/50%25.csv", roots) == f"{root}/50%25.csv"
    assert resolve(f"file://{root}/50%2525.csv", roots) == f"{root}/50%25.csv"


def test_a_root_may_itself_be_a_link_or_a_file_uri(root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    for told in (str(tmp_path / "link"), f"file://{root}", f"{root}/"):
        assert resolve(f"{tmp_path}/link/inside/a.csv", ["s3://bucket", told]) == str(root / "cohort one/a.csv")


@pytest.mark.parametrize(
    "tail",
    [
        "/../secret.csv",
        "/outside/secret.csv",
        "/leaf.csv",
        "-too/b.csv",
        "/cohort one/../../secret.csv",
        "/../there-is-no-such-file",
    ],
)
def test_whatever_leads_outside_is_refused(root, tail):
    with pytest.raises(OmniScopeError, match="DATASET_ROOTS") as refused:
        resolve(f"{root}{tail}", [str(root)])
    assert refused.value.reason == "uri_outside_roots"


@pytest.mark.parametrize("tail", ["/%2e%2e/secret.csv", "/outside%2Fsecret.csv", "/..%2fsecret.csv"])
def test_percent_encoding_hides_nothing(root, tail):
    with pytest.raises(OmniScopeError) as refused:
        resolve(f"file://{root}{tail}", [str(root)])
    assert refused.value.reason == "uri_outside_roots"


@pytest.mark.parametrize(
    "uri",
    [
        "relative.csv", "", "http://host/a.csv", "file://other-host/a.csv", "file:///a%00b", "/a\0b", "ftp://x",
        "s3://", "s3://bucket/", "s3://bucket/a/../b", "s3://bucket/a\nb", "file:///a?x=1", "file:relative",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(root, uri):
    with pytest.raises(OmniScopeError) as refused:
        resolve(uri, [str(root), "s3://bucket"])
    assert refused.value.reason == "uri_unsupported"


def test_s3_is_held_to_its_prefix(root):
    roots = ["s3://lab/cohorts/", str(root)]
    assert resolve("s3://lab/cohorts/a b%20.csv", roots) == "s3://lab/cohorts/a b%20.csv"
    for uri in ("s3://lab/cohorts-too/a.csv", "s3://lab/a.csv", "s3://laboratory/cohorts/a.csv"):
        with pytest.raises(OmniScopeError) as refused:
            resolve(uri, roots)
        assert refused.value.reason == "uri_outside_roots"


@pytest.mark.parametrize(
    ("name", "reason"), [("none.csv", "file_missing"), ("loop", "file_missing"), ("cohort one", "uri_unsupported")]
)
def test_what_is_no_file_says_so(root, name, reason):
    with pytest.raises(OmniScopeError) as refused:
        resolve(f"{root}/{name}", [str(root)])
    assert refused.value.reason == reason
    assert name in refused.value.message


def test_a_pipe_is_no_dataset(root):
    os.mkfifo(root / "pipe.csv")
    with pytest.raises(OmniScopeError, match="no regular file"):
        resolve(f"{root}/pipe.csv", [str(root)])
