"""What networks are asked again is answered from memory, as long as question and weights are the same."""

import copy
import pickle

import pytest
import torch
from figura.models.diffusion.remembered import MOST, Remembered


class Doubler(torch.nn.Linear):
    def __init__(self):
        super().__init__(1, 1)
        self.calls = 0

    def asked(self, remembered, *question):
        def answer():
            self.calls += 1
            return question[0] * self.weight.sum(), None

        return remembered(self, question, answer)


@pytest.fixture
def network():
    return Doubler().eval()


@torch.no_grad()
def test_equal_questions_have_one_answer_and_nobody_can_spoil_it(network):
    remembered, question = Remembered(), torch.ones(3)
    first, _ = network.asked(remembered, question, "a")
    wanted = first.clone()
    first.zero_()
    question_again = torch.ones(3)
    question.zero_()
    again, nothing = network.asked(remembered, question_again, "a")
    assert torch.equal(again, wanted) and nothing is None and network.calls == 1
    for other in (
        (torch.zeros(3), "a"),
        (torch.ones(3), "b"),
        (torch.ones(3).double(), "a"),
        (torch.ones(3),),
    ):
        network.asked(remembered, *other)
    assert network.calls == 5


@torch.no_grad()
def test_other_weights_answer_anew(network):
    remembered = Remembered()
    network.asked(remembered, torch.ones(1))
    network.weight.add_(1)
    assert network.asked(remembered, torch.ones(1))[0] == network.weight.sum() and network.calls == 2
    network.load_state_dict({name: torch.zeros_like(value) for name, value in network.state_dict().items()})
    assert network.asked(remembered, torch.ones(1))[0] == 0
    network.double()
    network.asked(remembered, torch.ones(1))
    assert network.calls == 4


@torch.no_grad()
def test_weights_that_take_the_place_of_dead_ones_are_others(network):
    """Their ids are often those of the dead."""
    remembered = Remembered()
    for value in range(100):
        network.weight = torch.nn.Parameter(torch.full((1, 1), value % 7 + 1.0))
        assert network.asked(remembered, torch.ones(1))[0] == network.weight.sum()


@torch.no_grad()
def test_changes_that_torch_does_not_count_answer_anew(network):
    remembered = Remembered()
    network.register_buffer("mean", torch.zeros(1))
    network.asked(remembered, torch.ones(1))
    for change in (
        lambda: network.weight.data.add_(1),
        lambda: setattr(network.weight, "data", torch.full((1, 1), 7.0)),
        lambda: network.mean.add_(1),
        lambda: network.weight.data.fill_(1 / 3),
        lambda: network.half().float(),
    ):
        before = network.calls
        change()
        assert network.asked(remembered, torch.ones(1))[0] == network.weight.sum()
        assert network.calls == before + 1


def test_weights_of_inference_mode_that_change_in_place_answer_anew():
    with torch.inference_mode():
        network, remembered = Doubler().eval(), Remembered()
        network.asked(remembered, torch.ones(1))
        network.weight.add_(1)
        assert network.asked(remembered, torch.ones(1))[0] == network.weight.sum()


@torch.no_grad()
def test_weights_that_change_places_answer_anew():
    network = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)).eval()
    network[0].weight.fill_(2), network[0].bias.fill_(1), network[1].bias.fill_(0)
    network[1].weight.fill_(3)  # 3 (2 x + 1); the other way round 2 (3 x + 1)
    remembered, question = Remembered(), torch.ones(1, 1)
    remembered(network, (question,), lambda: network(question).clone())
    network[0].weight, network[1].weight = network[1].weight, network[0].weight
    again = remembered(network, (question,), lambda: network(question))
    assert torch.equal(again, network(question))


@torch.no_grad()
def test_a_network_that_was_elsewhere_meanwhile_is_the_same(network):
    remembered = Remembered()
    network.register_buffer("mean", torch.zeros(1))
    network.asked(remembered, torch.ones(1))
    network._apply(torch.clone)  # as .to another device does
    network.asked(remembered, torch.ones(1))
    assert network.calls == 1


@torch.no_grad()
def test_a_network_that_has_answered_can_be_copied_and_pickled(network):
    network.remembered = Remembered()
    network.asked(network.remembered, torch.ones(1))
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        other.asked(other.remembered, torch.ones(1))
        assert other.calls == 2


def test_what_is_learnt_is_not_remembered(network):
    remembered = Remembered()
    for _ in range(2):
        network.asked(remembered, torch.ones(1))[0].sum().backward()
    network.train()
    with torch.no_grad():
        network.asked(remembered, torch.ones(1))
        network.asked(remembered, torch.ones(1))
    assert network.calls == 4


@torch.no_grad()
def test_only_the_last_few_and_no_large_ones_are_kept(network):
    remembered = Remembered()
    for value in range(MOST + 1):
        network.asked(remembered, torch.full((1,), float(value)))
    network.asked(remembered, torch.full((1,), 1.0))
    assert network.calls == MOST + 1
    network.asked(remembered, torch.full((1,), 0.0))
    assert network.calls == MOST + 2
    large = torch.zeros(2**24 + 1)
    network.asked(remembered, large), network.asked(remembered, large)
    assert network.calls == MOST + 4


def test_what_was_made_in_inference_mode_serves_outside(network):
    remembered = Remembered()
    with torch.inference_mode():
        network.asked(remembered, torch.ones(1))
    with torch.no_grad():
        assert (network.asked(remembered, torch.ones(1))[0] * 2).isfinite().all() and network.calls == 1
