"""An encoder of one cohort that takes another cohort's columns."""

import json

import pytest
import torch

from handlers.networks.aligned import Aligned
from handlers.networks.catalogue import build_encoder
from handlers.networks.network import Network, build

#: Of four features the second is missing; of five columns the first and the fourth are not known.
PLACES = [2, -1, 4, 1]


def lstm() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_encoder({"name": "lstm", "n_features": 4}).eval()


def test_columns_come_to_their_places_and_what_is_missing_is_the_mean() -> None:
    inner = lstm()
    x = torch.randn(3, 5)
    expected = inner(torch.stack([x[:, 2], torch.zeros(3), x[:, 4], x[:, 1]], dim=1))
    torch.testing.assert_close(Aligned.around(inner, PLACES, 5).eval()(x), expected)


def test_columns_that_are_not_known_do_not_matter() -> None:
    aligned = Aligned.around(lstm(), PLACES, 5).eval()
    x = torch.randn(3, 5)
    other = x.clone()
    other[:, [0, 3]] = 1e6
    torch.testing.assert_close(aligned(x), aligned(other), rtol=0, atol=0)


def test_it_is_built_again_from_json_and_weights() -> None:
    network = Network(Aligned.around(lstm(), PLACES, 5), 5, 3).eval()
    again = build(json.loads(json.dumps(network.arguments()))).eval()
    again.load_state_dict(network.state_dict())
    x = torch.randn(2, 5)
    torch.testing.assert_close(again(x), network(x), rtol=0, atol=0)


def test_no_weight_is_there_twice() -> None:
    tensors = [tensor.data_ptr() for tensor in Aligned.around(lstm(), PLACES, 5).state_dict().values()]
    assert len(tensors) == len(set(tensors))


def test_an_aligned_encoder_can_be_the_base_of_the_next() -> None:
    first = Aligned.around(lstm(), PLACES, 5).eval()
    second = Aligned.around(first, [6, 5, 4, 3, 2], 7).eval()
    x = torch.randn(3, 7)
    torch.testing.assert_close(second(x), first(x[:, [6, 5, 4, 3, 2]]))
    assert second.blocks is first.blocks or len(second.blocks) == len(first.blocks)
    build_encoder({"name": second.name, **second.arguments}).load_state_dict(second.state_dict())


def test_freezing_blocks_freezes_the_inner_ones() -> None:
    aligned = Aligned.around(lstm(), PLACES, 5)
    aligned.blocks[0].requires_grad_(False)
    frozen = [name for name, weight in aligned.named_parameters() if not weight.requires_grad]
    assert frozen
    assert all(name.startswith("inner.blocks.0.") for name in frozen)


def test_the_rest_can_be_run_from_the_output_of_the_first_blocks() -> None:
    aligned = Aligned.around(lstm(), PLACES, 5).eval()
    x = torch.randn(3, 5)
    placed = torch.nn.functional.pad(x, (1, 0))[:, torch.tensor(PLACES) + 1]
    torch.testing.assert_close(aligned(aligned.blocks[0](placed), start=1), aligned(x))


def test_training_it_leaves_the_base_model_as_it_is() -> None:
    inner = lstm()
    before = {name: tensor.clone() for name, tensor in inner.state_dict().items()}
    aligned = Aligned.around(inner, PLACES, 5)
    with torch.no_grad():
        for weight in aligned.parameters():
            weight.add_(1)
    for name, tensor in inner.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("places", [[0, 1, 2, 5], [0, 1, 2, -2], [0, 1, 2], [0, 1, 2, 3, 4]])
def test_places_that_are_none_are_refused(places: list[int]) -> None:
    with pytest.raises(ValueError, match="places"):
        Aligned.around(lstm(), places, 5)
