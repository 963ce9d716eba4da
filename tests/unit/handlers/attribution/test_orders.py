"""Places in orders: spread over the whole way, the same for the same seed, and sorted right."""

import numpy as np

from handlers.attribution.orders import REPEATS, draw_places, first_state, sort_by_place


def places(seed: int, sample: int, m: int = 20, p: int = 7) -> np.ndarray:
    out = np.zeros((REPEATS, m, p))
    draw_places(first_state(seed, sample), out)
    return out


def test_every_feature_has_a_place_in_each_stretch_of_the_way() -> None:
    stretches = np.sort(np.floor(places(0, 0)[0] * 20).astype(int), axis=0)
    assert (stretches == np.arange(20)[:, None]).all()


def test_seed_and_sample_decide_alone() -> None:
    assert (places(3, 1) == places(3, 1)).all()
    assert (places(3, 1) != places(3, 2)).any()
    assert (places(3, 1) != places(4, 1)).any()


def test_no_two_features_come_in_one_order_all_the_time() -> None:
    first_before_second = (places(0, 0, m=100)[0, :, 0] < places(0, 0, m=100)[0, :, 1]).mean()
    assert 0.3 < first_before_second < 0.7


def test_sorting() -> None:
    place = np.random.default_rng(0).random(300)
    players = np.arange(0, 300, 2)
    out = np.zeros(150, np.int64)
    sort_by_place(players, place, out)
    assert out.tolist() == sorted(players, key=lambda f: place[f])
