"""Proposals for missing joints: what holds whatever the weights are, and the person's own unit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from figura.models.diffusion.checkpoint import config_to_metadata, save_module
from figura.models.diffusion.sampling import draw_noise
from figura.models.perception.pose_completion import (
    FILE_KIND,
    Known,
    PoseCompletion,
    complete_person,
    frame_of,
    known_in,
    load_pose_completion,
    propose,
)
from figura.people.boxes import Box
from figura.people.keypoints import BODY_18, Person
from figura.people.synthetic import render_people
from hypothesis import given
from hypothesis import strategies as st

SIZE = (128, 128)


def network() -> PoseCompletion:
    """Untrained, but it knows a mean pose, and believes in every joint."""
    torch.manual_seed(0)
    net = PoseCompletion().eval()
    joints = render_people(range(24)).joints[..., :2]
    units = (joints - joints.mean(1, keepdim=True)) / 105
    net.mean_pose.copy_(units.mean(0))
    net.pair_squares.copy_((units[:, :, None] - units[:, None]).square().sum(3).mean(0))
    torch.nn.init.normal_(net.velocity.weight, std=0.02)
    torch.nn.init.constant_(net.presence.bias, 9.0)
    return net


NET = network()
PEOPLE = render_people(range(3))
WHOLE = render_people([10_000_003]).joints[0].numpy()


def person(hidden: list[int]) -> Person:
    joints = WHOLE.copy()
    joints[:, 2] = 1
    joints[hidden] = 0
    return Person(joints)


def known() -> tuple[torch.Tensor, ...]:
    boxes = torch.tensor([[10.0, 5.0, 90.0, 120.0]]).repeat(3, 1)
    return PEOPLE.joints[..., :2], PEOPLE.joint_visible.float(), boxes, torch.zeros(3)


def test_the_network_is_small() -> None:
    assert sum(value.numel() for value in PoseCompletion().state_dict().values()) < 500_000


@given(
    hidden=st.sets(st.integers(0, 17), min_size=1, max_size=17),
    seed=st.integers(0, 2**63 - 1),
    variety=st.floats(0, 1),
    box=st.booleans(),
)
def test_known_joints_keep_every_bit_and_their_states(hidden, seed, variety, box) -> None:
    before = person(sorted(hidden))
    states = tuple(None if i in hidden else ("given" if i % 2 else "detected") for i in range(18))
    before = Person(before.body, states=states)
    after = complete_person(NET, before, SIZE, seed, variety, Box(10, 5, 100, 120) if box else None)
    kept = before.body[:, 2] > 0
    assert after.body[kept].tobytes() == before.body[kept].tobytes()
    for index in range(18):
        if kept[index]:
            assert after.states[index] == states[index]
        else:
            assert after.states[index] == ("proposed" if after.body[index, 2] > 0 else None)
    placed = after.body[after.body[:, 2] > 0, :2]
    assert (placed >= 0).all() and (placed <= 128).all()


def test_a_seed_repeats_another_is_another_proposal_and_no_variety_is_the_middle() -> None:
    hidden = list(range(8, 14))
    one, same, other = (complete_person(NET, person(hidden), SIZE, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.body, same.body) and not np.array_equal(one.body, other.body)
    calm = [complete_person(NET, person(hidden), SIZE, seed, variety=0.0) for seed in (1, 2)]
    assert np.array_equal(calm[0].body, calm[1].body)


def test_nothing_missing_changes_nothing() -> None:
    whole = person([])
    assert np.array_equal(complete_person(NET, whole, SIZE, 0).body, whole.body)


def test_a_box_alone_is_enough_and_nothing_at_all_is_not() -> None:
    nobody = person(list(range(18)))
    proposed = complete_person(NET, nobody, SIZE, 0, 0.0, Box(20, 10, 80, 120))
    assert (proposed.body[:, 2] > 0).sum() > 12
    centre = proposed.body[proposed.body[:, 2] > 0, :2].mean(0)
    assert 20 < centre[0] < 80 and 10 < centre[1] < 120
    with pytest.raises(ValueError, match="at least one joint, or the box"):
        complete_person(NET, nobody, SIZE, 0)


def test_joints_a_camera_could_not_tell_are_not_proposed() -> None:
    net = network()
    with torch.no_grad():
        net.presence.bias[BODY_18.index("nose")] = -9.0
    after = complete_person(net, person([0, 4]), SIZE, 0, 0.0)
    assert after.body[0, 2] == 0 and after.states[0] is None and after.states[4] == "proposed"


def test_proposals_outside_the_picture_are_left_out() -> None:
    cut = person(list(range(8, 14)))
    after = complete_person(NET, cut, (40, 128), 0, 0.0)
    missing = after.body[8:14]
    assert (missing[missing[:, 2] > 0, 1] <= 40).all() and (missing[:, 2] == 0).any()


@pytest.mark.parametrize("boxed", [0.0, 1.0])
def test_the_unit_never_depends_on_missing_joints(boxed: float) -> None:
    points, joints, boxes, has_box = known()
    has_box = has_box + boxed
    usual = torch.full((3,), 100.0)
    frames = []
    for fill in (0.0, 1e4, float("nan")):
        filled = torch.where(joints[..., None] > 0, points, torch.full_like(points, fill))
        frame = frame_of(NET, filled, joints, boxes, has_box, usual)
        frames.append((frame, known_in(frame, filled, joints, boxes, has_box)))
    for frame, given_here in frames[1:]:
        for first, second in zip((*frames[0][0], *frames[0][1]), (*frame, *given_here), strict=True):
            assert torch.equal(first, second)


@given(shift=st.floats(-500, 500), factor=st.floats(0.2, 5.0))
def test_the_unit_follows_the_person(shift: float, factor: float) -> None:
    points, joints, boxes, has_box = known()
    usual = torch.full((3,), 100.0)
    first = known_in(frame_of(NET, points, joints, boxes, has_box, usual), points, joints, boxes, has_box)
    moved = points * factor + shift
    frame = frame_of(NET, moved, joints, boxes, has_box, usual * factor)
    second = known_in(frame, moved, joints, boxes, has_box)
    torch.testing.assert_close(first.points, second.points, atol=2e-3, rtol=2e-3)


def test_the_mean_pose_fits_itself() -> None:
    pose = NET.mean_pose[None] * 90 + torch.tensor([64.0, 50.0])
    mean_squares = (NET.mean_pose[:, None] - NET.mean_pose[None]).square().sum(2)
    net = network()
    net.pair_squares.copy_(mean_squares)
    joints = (torch.arange(18) % 3 > 0).float()[None]
    frame = frame_of(net, pose, joints, torch.zeros(1, 4), torch.zeros(1), torch.full((1,), 90.0))
    torch.testing.assert_close(frame.scale, torch.tensor([90.0]), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(frame.origin, torch.tensor([[64.0, 50.0]]), rtol=1e-4, atol=1e-2)


def test_one_joint_takes_the_size_from_the_picture() -> None:
    joints = torch.zeros(1, 18)
    joints[0, 3] = 1
    frame = frame_of(
        NET, torch.full((1, 18, 2), 5.0), joints, torch.zeros(1, 4), torch.zeros(1), torch.ones(1) * 84
    )
    torch.testing.assert_close(frame.scale, torch.tensor([84.0]))


def test_units_and_pixels_are_inverse() -> None:
    points, joints, boxes, has_box = known()
    frame = frame_of(NET, points, joints, boxes, has_box, torch.ones(3) * 100)
    torch.testing.assert_close(frame.to_pixels(frame.to_units(points)), points, atol=1e-3, rtol=1e-4)


def test_a_constant_flow_ends_where_it_points() -> None:
    """With v = c for every x and t, x_1 = x_0 + c, however many steps are taken."""
    net = network()
    for parameter in net.velocity.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.constant_(net.velocity.bias, 2.0)
    given_none = Known(torch.zeros(2, 18, 2), torch.zeros(2, 18), torch.zeros(2, 4), torch.zeros(2))
    noise = draw_noise([3, 4], (18, 2))
    for steps in (1, 7):
        points, _ = propose(net, given_none, noise, steps)
        torch.testing.assert_close(points, net.mean_pose + 0.15 * noise + 0.3, atol=1e-4, rtol=1e-4)


def test_the_weights_file_round_trips_and_is_below_a_megabyte(tmp_path: Path) -> None:
    path = save_module(
        tmp_path / "p.safetensors", FILE_KIND, NET.state_dict(), config_to_metadata(NET.config)
    )
    assert path.stat().st_size < 1_000_000
    loaded = load_pose_completion(path)
    before, after = (complete_person(net, person([4, 7, 10]), SIZE, 1) for net in (NET, loaded))
    np.testing.assert_allclose(before.body, after.body, atol=0.5)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_flow_is_followed_by_the_midpoint_rule(steps: int) -> None:
    """Exact for v = 2 t, where x_1 = x_0 + 1; of v = x every step of h multiplies by 1 + h + h^2 / 2."""

    class Flow(PoseCompletion):
        def forward(self, points, times, known):
            moved = 2 * times[:, None, None].expand_as(points) if self.timed else points
            return moved, torch.zeros(len(points), 18)

    nothing = Known(torch.zeros(1, 18, 2), torch.zeros(1, 18), torch.zeros(1, 4), torch.zeros(1))
    flow, noise, factor = Flow(), torch.ones(1, 18, 2), 1 + 1 / steps + 0.5 / steps**2
    for flow.timed, wanted in ((True, 0.15 + 1), (False, 0.15 * factor**steps)):
        torch.testing.assert_close(propose(flow, nothing, noise, steps)[0], wanted * noise)
