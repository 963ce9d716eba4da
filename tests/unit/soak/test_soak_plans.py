"""What is asked for and what is done follow from the seed, and nothing that is to be shown is left out."""

from collections import Counter
from pathlib import Path

import pytest
from soak import faults, ledger, plan, wishes
from soak.diary import Kind

FOLDER = Path("/data/datasets")


def told(jobs: int, seed: int) -> list[tuple[str, float, str]]:
    return [(w.recipe, w.at_s, w.subject) for w in wishes.wishes(jobs, seed, 40.0, FOLDER)]


def test_the_same_seed_asks_for_the_same_and_another_for_something_else() -> None:
    assert told(100, 3) == told(100, 3)
    assert told(100, 3) != told(100, 4)


@pytest.mark.parametrize("jobs", [60, 1000])
def test_as_many_jobs_as_were_asked_for_of_every_recipe(jobs: int) -> None:
    made = wishes.wishes(jobs, 1, 40.0, FOLDER)
    assert len({wish.subject for wish in made if wish.is_job}) == jobs
    recipes = Counter(wish.recipe for wish in made)
    assert min(recipes.values()) >= 1
    assert len(recipes) == 18
    assert [wish.at_s for wish in made] == sorted(wish.at_s for wish in made)


def test_every_wish_has_ends_but_repetitions_and_cancellations() -> None:
    without = {wish.recipe for wish in wishes.wishes(200, 1, 40.0, FOLDER) if not wish.ends}
    assert without == {"repetition", "cancellation"}


@pytest.mark.parametrize("form", [plan.short, plan.long])
def test_every_fault_is_on_the_schedule_within_the_traffic(form: plan.Form) -> None:
    known = form(1000, 5)
    planned = faults.schedule(known)
    assert {kind for _, kind in planned} == set(Kind)
    assert [at_s for at_s, _ in planned] == sorted(at_s for at_s, _ in planned)
    assert planned[-1][0] <= known.traffic_s
    assert planned == faults.schedule(known)


def test_a_freeze_outlasts_the_session_and_the_long_form_the_short_one() -> None:
    assert faults.FROZEN_SESSIONS[0] > 1
    assert plan.long(1000, 1).long_outage_s > plan.short(60, 1).long_outage_s


def test_the_ledger_tells_of_a_run_while_and_after_it_runs(tmp_path: Path) -> None:
    file = tmp_path / "ledger.txt"
    with ledger.entered(file, "job", 2):
        (running,) = ledger.read(file.read_text())
        assert not running.came_to_end
    (ended,) = ledger.read(file.read_text() + "start cut-o")
    assert (ended.job, ended.attempt, ended.came_to_end) == ("job", 2, True)
    assert ended.last_seen >= ended.begun
