"""Bodies in poses: joint limits, sides, bones of constant length, arms that stay out of the trunk; seeds."""

import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from figura.people.synthetic import poses
from figura.people.synthetic.asset import body_asset
from figura.people.synthetic.clearance import Trunk
from figura.people.synthetic.draws import STREAMS, Draws
from figura.people.synthetic.shapes import YOUNGEST, _anchors, body_at_rest, sample_shape
from figura.people.synthetic.skeleton import SIDES, Figure, pose_body
from hypothesis import given
from hypothesis import strategies as st

MANY = range(2000)
SEEDS = range(60)


def figure_of(seed: int, **changes: object) -> Figure:
    pose = poses.sample_pose(Draws(seed, "pose"))
    return pose_body(body_asset(), sample_shape(Draws(seed, "body")), replace(pose, **changes))


@pytest.fixture(scope="module")
def figures() -> list[Figure]:
    return [figure_of(seed) for seed in SEEDS]


def test_everybody_is_an_adult() -> None:
    shapes = [sample_shape(Draws(seed, "body")) for seed in MANY]
    ages = torch.tensor([shape.age for shape in shapes])
    assert ages.min() >= YOUNGEST >= 18 and ages.max() <= 100 and ages.std() > 8
    women = sum(shape.woman for shape in shapes) / len(shapes)
    assert 0.45 < women < 0.55


def test_the_body_knows_no_shape_of_a_child() -> None:
    child_anchors = body_asset().factors[:, 5:8]  # newborn, baby, child
    assert child_anchors.sum() == 0


def test_heights_and_builds_are_those_of_adults() -> None:
    asset = body_asset()
    skin = asset.ranges["body"]
    tall, wide = [], []
    for seed in range(200):
        rest = body_at_rest(asset, sample_shape(Draws(seed, "body")))[skin]
        tall.append(float(rest[:, 1].max() - rest[:, 1].min()))
        trunk = rest[asset.part[skin] <= 2]
        wide.append(float(trunk[:, 2].max() - trunk[:, 2].min()))
    assert 1.42 < min(tall) and max(tall) < 2.08 and 1.6 < sum(tall) / len(tall) < 1.8
    assert max(wide) > 1.3 * min(wide)


def test_heights_are_those_that_the_page_about_data_names() -> None:
    asset = body_asset()
    skin = asset.ranges["body"]
    shapes = [sample_shape(Draws(seed, "body")) for seed in range(10_000_000, 10_002_000)]
    factors = torch.stack(
        [torch.prod(torch.tensor(_anchors(each)) * asset.factors + 1 - asset.factors, 1) for each in shapes]
    )
    up = asset.mean[skin, 1] + (factors @ asset.projection - asset.offset) @ asset.components[:, skin, 1]
    heights, women = up.amax(1) - up.amin(1), torch.tensor([each.woman for each in shapes])
    rest = body_at_rest(asset, shapes[31])[skin, 1]
    torch.testing.assert_close(heights[31], rest.max() - rest.min())
    said = [
        f"{value:.2f}"
        for some in (heights[women], heights[~women])
        for value in (some.min(), some.max(), some.mean())
    ]
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
    sentence = page.partition("Barefoot")[2].partition(" on average (")[0]
    assert re.findall(r"\d\.\d\d", sentence) == said
    assert int((heights[women] < 1.42).sum()) == 5 and float(heights[~women].min()) > 1.42


def test_women_are_shorter_on_average() -> None:
    asset = body_asset()
    heights: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(200):
        shape = sample_shape(Draws(seed, "body"))
        heights[shape.woman].append(float(body_at_rest(asset, shape)[asset.ranges["body"], 1].max()))
    men, women = (sum(heights[key]) / len(heights[key]) for key in (False, True))
    assert men - women > 0.05


def test_joint_angles_stay_within_limits() -> None:
    for seed in MANY:
        for name, value in poses.sample_pose(Draws(seed, "pose")).angles.items():
            assert poses.limited(name, value) == value, name


def test_every_pose_is_drawn_about_as_often_as_it_weighs() -> None:
    drawn = Counter(poses.sample_pose(Draws(seed, "pose")).name for seed in range(6000))
    weights = Counter[str]()
    for entry in poses.EVERYDAY:
        weights[entry.name] += entry.weight
    total = sum(weights.values())
    for name, weight in weights.items():
        assert abs(drawn[name] / 6000 - weight / total) < 0.02, name


def test_people_are_seen_from_all_sides() -> None:
    yaws = torch.tensor([poses.sample_pose(Draws(seed, "pose")).yaw for seed in MANY])
    towards = torch.deg2rad(yaws).cos()
    assert (towards > 0.8).float().mean() > 0.35
    assert (towards.abs() < 0.5).float().mean() > 0.15
    assert (towards < -0.8).float().mean() > 0.08
    assert 0.35 < (torch.deg2rad(yaws).sin() > 0).float().mean() < 0.65


def test_limbs_keep_about_their_length_in_every_pose(figures: list[Figure]) -> None:
    limbs = ((2, 3), (3, 4), (5, 6), (6, 7), (8, 9), (9, 10), (11, 12), (12, 13))
    for seed, figure in zip(SEEDS, figures, strict=True):
        other = figure_of(seed + 500)
        other = pose_body(body_asset(), figure.shape, other.pose)
        for start, end in limbs:
            lengths = [float((each.joints[start] - each.joints[end]).norm()) for each in (figure, other)]
            assert abs(lengths[0] - lengths[1]) < 0.12 * lengths[0]


def test_a_turned_person_is_the_same_person_turned() -> None:
    front, back = figure_of(3, yaw=0.0), figure_of(3, yaw=180.0)
    turn = torch.tensor([-1.0, 1.0, -1.0])
    torch.testing.assert_close(front.vertices * turn, back.vertices, atol=1e-4, rtol=0)
    torch.testing.assert_close(front.joints * turn, back.joints, atol=1e-4, rtol=0)


def test_sides_are_the_persons_own() -> None:
    for seed in range(20):
        figure = figure_of(seed, yaw=0.0)
        for right, left in ((2, 5), (8, 11), (14, 15), (16, 17)):
            across = figure.joints[left] - figure.joints[right]
            assert float(across[0]) > 0, (seed, right)


def test_nobody_sinks_into_the_ground_or_floats(figures: list[Figure]) -> None:
    for figure in figures:
        lowest = figure.vertices[:, 1].min()
        assert abs(float(lowest)) < 1e-4


def test_arms_do_not_go_through_the_trunk(figures: list[Figure]) -> None:
    inside = total = 0
    for figure in figures:
        asset = figure.asset
        trunk = Trunk.of(asset, figure.rest)
        bone = asset.bone("spine03")
        span = asset.ranges["body"]
        labels = asset.part[span]
        arms = figure.vertices[span][((labels >= 19) & (labels <= 22)) | (labels == 3) | (labels == 4)]
        at_rest = (arms - figure.bone_shift[bone]) @ figure.bone_rotation[bone]
        inside += int((trunk.closeness(at_rest, 0.0) < 0.6).sum())
        total += len(arms)
    assert inside < 0.002 * total


def test_the_shoulder_is_where_the_arm_turns_and_the_wrist_where_the_hand_begins(
    figures: list[Figure],
) -> None:
    for figure in figures:
        for side, wrist in enumerate((4, 7)):
            assert float((figure.hands[side, 0] - figure.joints[wrist]).norm()) < 0.01
            reach = (figure.hands[side] - figure.joints[wrist]).norm(dim=1)
            assert 0.03 < float(reach.max()) < 0.26


def test_fists_are_shorter_than_open_hands() -> None:
    def reach(curl: float) -> float:
        hand = poses.Hand((curl,) * 5, 0.3)
        figure = figure_of(1, hands=(hand, hand))
        return float((figure.hands[0, [8, 12, 16, 20]] - figure.hands[0, :1]).norm(dim=1).mean())

    assert reach(1.0) < 0.72 * reach(0.0)
    assert reach(0.5) < 0.97 * reach(0.0)


def test_palms_face_where_they_are_told() -> None:
    for side, letter in enumerate(SIDES):
        for towards in (1.0, -1.0):
            hand = poses.Hand((0.0,) * 5, 0.3, 0.0, (0.0, 0.0, towards))
            angles = poses.sample_pose(Draws(4, "pose")).angles
            name = "rl"[side]
            angles = angles | {f"{name}_arm_flexion": 30.0, f"{name}_arm_abduction": 20.0,
                               f"{name}_elbow": 120.0, f"{name}_elbow_inward": 0.0, f"{name}_elbow_up": 1.2,
                               "lean": 0.0, "roll": 0.0, "twist": 0.0}  # fmt: skip
            figure = figure_of(4, yaw=0.0, angles=angles, hands=(hand, hand))
            wrist, index, little = figure.hands[side, [0, 5, 17]]
            normal = torch.linalg.cross(index - wrist, little - wrist) * (1 if letter == "R" else -1)
            assert float(normal[2]) * towards > 0


def test_skin_weights_are_shares() -> None:
    asset = body_asset()
    torch.testing.assert_close(asset.weights.sum(1), torch.ones(len(asset.weights)))
    assert asset.weights.min() >= 0 and asset.bones.max() < len(asset.bone_names)


def test_the_asset_labels_every_side_of_every_part() -> None:
    asset = body_asset()
    skin = asset.ranges["body"]
    assert set(asset.part[skin].tolist()) == set(range(1, 25))
    middles = {label: asset.mean[skin][asset.part[skin] == label].mean(0) for label in range(1, 25)}
    for right, left in ((3, 4), (6, 5), (9, 10), (7, 8), (13, 14), (11, 12), (16, 15), (20, 19), (23, 24)):
        assert float(middles[right][0]) < 0 < float(middles[left][0])
    for behind, front in ((1, 2), (7, 9), (11, 13), (16, 18), (20, 22)):
        assert float(middles[behind][2]) < float(middles[front][2])


@given(st.integers(0, 2**32), st.sampled_from(STREAMS))
def test_a_stream_depends_on_its_seed_alone(seed: int, stream: str) -> None:
    first, second = Draws(seed, stream), Draws(seed, stream)
    assert first.numbers(4) == second.numbers(4)
    assert torch.equal(first.array(3, 2), second.array(3, 2))


def test_streams_of_one_seed_and_neighbouring_seeds_differ() -> None:
    numbers = [Draws(seed, stream).uniform() for seed in range(50) for stream in STREAMS]
    assert len(set(numbers)) == len(numbers)
    assert abs(sum(numbers) / len(numbers) - 0.5) < 0.03


def test_draws_keep_to_their_ranges_and_weights() -> None:
    draws = Draws(1, "body")
    assert all(2 <= value < 3 for value in draws.numbers(200, 2, 3))
    assert max(abs(draws.normal()) for _ in range(2000)) <= 2.5
    counts = Counter(draws.choice([1, 2, 1]) for _ in range(4000))
    assert abs(counts[1] / 4000 - 0.5) < 0.04
    assert math.isclose(sum(draws.chance(0.3) for _ in range(4000)) / 4000, 0.3, abs_tol=0.04)
