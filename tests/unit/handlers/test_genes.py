"""The columns of a new cohort and the features of a base model."""

import time

import pytest

from events.errors import ReasonCode
from handlers.contract import JobRefused
from handlers.transfer_learning.genes import align, require_enough


def test_the_same_name_wins_over_one_in_another_case() -> None:
    found = align(["Actb"], ["ACTB", "Actb"])
    assert found.places == (1,)
    assert (found.n_exact, found.n_by_case, found.ambiguous) == (1, 0, ())
    assert found.unused == ("ACTB",)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("TP53", " TP53\t"),
        ("β-catenin\u0301", "β-cateni\u0144"),
        ("e\u0301", "\u00e9"),
    ],
)
def test_blanks_and_unicode_form_do_not_count(source: str, target: str) -> None:
    assert align([source], [target]).n_exact == 1


def test_case_does_not_count_where_no_name_is_the_same() -> None:
    found = align(["Trp53", "MT-CO1"], ["mt-co1", "TRP53"])
    assert found.places == (1, 0)
    assert found.n_by_case == 2


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("ENSG00000141510.17", "ENSG00000141510"),
        ("ENSG00000141510", "ensg00000141510.2"),
        ("ENSMUSG00000059552.8", "ENSMUSG00000059552.14"),
        ("ENST00000269305.9", "ENST00000269305.4"),
        ("NM_000546.6", "NM_000546.5"),
        ("XP_011522155.1", "XP_011522155"),
    ],
)
def test_a_version_of_an_accession_does_not_count(source: str, target: str) -> None:
    found = align([source], [target])
    assert (found.n_by_version, found.missing) == (1, ())


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("HLA-A", "HLA"),
        ("MT-CO1", "MT-CO2"),
        ("RP11-34P13.7", "RP11-34P13"),
        ("RP11-34P13.7", "RP11-34P13.8"),
        ("AC079767.4", "AC079767.1"),
        ("NKX2.1", "NKX2"),
        ("H3.3", "H3"),
        ("m/z 101.1", "m/z 101.2"),
        ("ENSG00000182378.14_PAR_Y", "ENSG00000182378.14"),
        ("1.5", "1"),
    ],
)
def test_what_only_looks_like_a_version_counts(source: str, target: str) -> None:
    assert align([source], [target]).missing == (source,)


def test_two_columns_for_one_feature_are_told_and_not_taken() -> None:
    found = align(["Actb", "Gapdh"], ["ACTB", "actb", "Gapdh"])
    assert found.places == (None, 2)
    assert [(each.source, each.target) for each in found.ambiguous] == [(("Actb",), ("ACTB", "actb"))]
    assert any("«Actb» could be «ACTB», «actb»" in sentence for sentence in found.sentences())


def test_two_versions_of_one_gene_are_ambiguous_unless_one_is_the_same() -> None:
    versions = ["ENSG00000141510.1", "ENSG00000141510.2"]
    assert align(["ENSG00000141510.3"], versions).ambiguous[0].target == tuple(versions)
    assert align(["ENSG00000141510.2"], versions).places == (1,)


def test_two_features_for_one_column_are_told_and_not_taken() -> None:
    found = align(["ENSG00000141510.1", "ENSG00000141510.2"], ["ENSG00000141510"])
    assert found.places == (None, None)
    assert len(found.ambiguous) == 1


def test_a_name_that_stands_twice_is_not_guessed() -> None:
    assert align(["A", "A", "B"], ["A", "B"]).places == (None, None, 1)
    assert align(["A", "B"], ["A", "A", "B"]).places == (None, 2)


def test_a_column_serves_one_feature() -> None:
    found = align(["ACTB", "actb"], ["ACTB"])
    assert found.places == (0, None)
    assert found.missing == ("actb",)


def test_columns_without_a_name_are_nobody() -> None:
    assert align(["", "A"], ["", " ", "A"]).places == (None, 2)
    assert align([" "], [""]).places == (None,)


def test_nothing_on_either_side() -> None:
    assert align([], []).sentences() == []
    assert align([], ["A"]).unused == ("A",)
    assert align(["A"], []).missing == ("A",)


def test_the_sentences_tell_how_names_were_found() -> None:
    source = [*(f"Gene{number}" for number in range(1200)), *(f"ENSG{number:011d}.1" for number in range(12))]
    target = [*(f"Gene{number}" for number in range(1000)), *(f"GENE{number}" for number in range(1000, 1040))]
    found = align(source, [*target, *(f"ENSG{number:011d}.2" for number in range(12)), "batch"])
    assert found.sentences() == [
        "1,052 of 1,212 features of the base model found (40 by case, 12 by version); 160 are missing and are filled "
        "with the base model's mean: «Gene1040», «Gene1041», «Gene1042», «Gene1043», «Gene1044» and 155 more",
        "The base model does not know 1 column: «batch»",
    ]
    assert align(target, target).sentences() == []


@pytest.mark.parametrize(
    ("known", "common", "enough"), [(2000, 199, False), (2000, 200, True), (10, 1, False), (10, 2, True), (1, 1, True)]
)
def test_a_base_model_of_which_too_little_is_found_is_refused(known: int, common: int, enough: bool) -> None:
    source = [f"gene {number}" for number in range(known)]
    found = align(source, [*source[:common], *(f"pixel {number}" for number in range(50))])
    if enough:
        require_enough(found, "job:larger")
        return
    with pytest.raises(JobRefused) as refused:
        require_enough(found, "job:larger")
    assert refused.value.reason == ReasonCode.MODEL_UNSUITABLE
    for told in ("base_model", "job:larger", f"{common} of its {known:,}", f"«gene {common}»", "«pixel 0»"):
        assert told in refused.value.message


def test_one_feature_that_is_not_there_is_not_enough() -> None:
    with pytest.raises(JobRefused):
        require_enough(align(["A"], ["B"]), "job:one")
    with pytest.raises(JobRefused):
        require_enough(align([], ["B"]), "job:none")


def test_twenty_thousand_names_on_both_sides_are_linear() -> None:
    def seconds(n: int) -> float:
        source = [f"ENSG{number:011d}.{number % 9}" for number in range(n)]
        target = [f"ensg{number:011d}.3" for number in reversed(range(n))]
        begun = time.process_time()
        found = align(source, target)
        took = time.process_time() - begun
        assert found.n_found == n
        assert found.places[0] == n - 1
        return took

    # Ten times the names in a hundredfold time would be quadratic.
    assert min(seconds(20_000) for _ in range(2)) < 40 * min(seconds(2_000) for _ in range(3))
