"""The pictures of synthetic people and the truth about them belong together."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as functional
from figura.people.synthetic import HELD_OUT_FIRST_SEED, SyntheticPeople, person, render_people, select
from figura.people.synthetic.asset import body_asset
from figura.people.synthetic.draws import Draws
from figura.people.synthetic.poses import Pose, sample_pose
from figura.people.synthetic.render import without_occluder

SEEDS = tuple(range(HELD_OUT_FIRST_SEED + 900, HELD_OUT_FIRST_SEED + 924))
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def people() -> SyntheticPeople:
    return render_people(SEEDS)


def tensors(people: SyntheticPeople) -> dict[str, torch.Tensor]:
    values = {field.name: getattr(people, field.name) for field in dataclasses.fields(people)}
    return {name: value for name, value in values.items() if torch.is_tensor(value)}


def grown(mask: torch.Tensor) -> torch.Tensor:
    return functional.max_pool2d(mask, 3, 1, 1)


def under_joints(mask: torch.Tensor, joints: torch.Tensor) -> torch.Tensor:
    size = mask.shape[-1]
    column, line = (joints[..., axis].long().clamp(0, size - 1) for axis in (0, 1))
    return mask.flatten(1).gather(1, line * size + column)


def assert_same(one: SyntheticPeople, other: SyntheticPeople) -> None:
    for name, value in tensors(one).items():
        assert torch.equal(value, getattr(other, name)), name
    assert one.captions == other.captions


def picked(people: SyntheticPeople, indices: list[int]) -> SyntheticPeople:
    changed = {name: value[indices] for name, value in tensors(people).items()}
    return dataclasses.replace(people, captions=[people.captions[i] for i in indices], **changed)


def test_select_keeps_rows_of_everything(people: SyntheticPeople) -> None:
    kept = torch.zeros(len(SEEDS), dtype=torch.bool)
    kept[[0, 2]] = True
    assert_same(select(people, kept), picked(people, [0, 2]))


def test_networks_may_learn_from_the_pictures(people: SyntheticPeople) -> None:
    assert not any(value.is_inference() for value in tensors(people).values())


def test_shapes_and_ranges(people: SyntheticPeople) -> None:
    count = len(SEEDS)
    assert people.occluded.shape == people.cutout.shape == (count, 3, 128, 128)
    assert people.joints.shape == (count, 18, 3) and people.joint_visible.shape == (count, 18)
    assert people.hands.shape == (count, 2, 21, 3) and len(people.captions) == count
    assert people.densepose_i.dtype == torch.uint8 and people.densepose_uv.shape == (count, 2, 128, 128)
    for name in ("occluded", "unoccluded", "complete", "cutout", "densepose_uv"):
        value = getattr(people, name)
        assert value.min() >= 0 and value.max() <= 1 + ROUNDING and torch.isfinite(value).all(), name


@pytest.mark.parametrize("order", [[3], [20, 4, 11], [5, 3]])
def test_a_seed_gives_one_picture_in_any_batch_and_order(people: SyntheticPeople, order: list[int]) -> None:
    assert_same(render_people([SEEDS[i] for i in order]), picked(people, order))


def test_different_seeds_give_different_people(people: SyntheticPeople) -> None:
    images = people.cutout.flatten(1)
    distances = torch.cdist(images, images) + 1e3 * torch.eye(len(images))
    assert distances.min() > 1.0


def test_held_out_people_are_not_the_training_people() -> None:
    assert HELD_OUT_FIRST_SEED == 10_000_000
    training, held_out = render_people([0]), render_people([HELD_OUT_FIRST_SEED])
    assert (training.cutout - held_out.cutout).abs().max() > 0.1


def test_masks_split_the_person(people: SyntheticPeople) -> None:
    for mask in (people.amodal_mask, people.visible_mask, people.invisible_mask):
        assert ((mask == 0) | (mask == 1)).all()
    assert torch.equal(people.visible_mask + people.invisible_mask, people.amodal_mask)
    assert (people.visible_mask * people.invisible_mask).max() == 0
    assert (people.amodal_mask.flatten(1).mean(1) > 0.03).all()


def test_pictures_agree_away_from_the_person(people: SyntheticPeople) -> None:
    outside = 1 - grown(people.amodal_mask)
    assert ((people.complete - people.occluded).abs() * outside).max() <= ROUNDING
    assert ((people.cutout - 1).abs() * outside).max() <= ROUNDING
    edge = (people.complete - people.occluded).abs() * (1 - people.amodal_mask)
    assert (edge > 0.02).float().mean() < 0.005  # only antialiased rims of the completed part


def test_pictures_agree_inside_the_person(people: SyntheticPeople) -> None:
    whole = (people.amodal_mask > 0) & (people.cutout - people.unoccluded == 0).all(1, keepdim=True)
    share = whole.flatten(1).float().sum(1) / people.amodal_mask.flatten(1).sum(1)
    assert (share > 0.7).all()  # the rest is the rim, where the background shines through
    off_seam = whole * (1 - grown(people.visible_mask) * grown(people.invisible_mask))
    for image, where in ((people.complete, off_seam), (people.occluded, off_seam * people.visible_mask)):
        differs = ((image - people.cutout).abs().amax(1, keepdim=True) > 1e-3) * where
        assert differs.sum() < 0.02 * where.sum()  # where the soft rim of the occluder grazes the person


def test_the_hidden_part_shows_the_occluder(people: SyntheticPeople) -> None:
    inner = 1 - grown(1 - people.invisible_mask)
    hidden = (people.occluded - people.complete).abs().mean(1, keepdim=True) * inner
    typical = hidden.flatten(1).sum(1) / inner.flatten(1).sum(1).clamp_min(1)
    assert typical.median() > 0.1


@pytest.mark.parametrize("share", [0.1, 0.35, 0.6])
def test_hidden_share_is_the_one_asked_for(share: float) -> None:
    people = render_people(SEEDS[:8], occlusion=share)
    hidden = people.invisible_mask.flatten(1).sum(1) / people.amodal_mask.flatten(1).sum(1)
    assert (hidden - share).abs().max() < 0.01


def test_drawn_hidden_shares_vary(people: SyntheticPeople) -> None:
    hidden = people.invisible_mask.flatten(1).sum(1) / people.amodal_mask.flatten(1).sum(1)
    assert hidden.min() >= 0.07 and hidden.max() <= 0.62 and hidden.std() > 0.08


def test_without_occlusion_nothing_is_hidden() -> None:
    people = render_people(SEEDS[:4], occlusion=0.0)
    assert people.invisible_mask.max() == 0
    assert torch.equal(people.occluded, people.unoccluded)
    assert torch.equal(people.joint_visible, people.joints[..., 2] > 0)
    assert_same(people, without_occluder(people))


def test_removing_the_occluder_equals_never_placing_it(people: SyntheticPeople) -> None:
    freed = without_occluder(picked(people, [2, 7]))
    assert_same(freed, render_people([SEEDS[2], SEEDS[7]], occlusion=0.0))


def test_marked_joints_lie_on_the_person(people: SyntheticPeople) -> None:
    present = people.joints[..., 2] > 0
    on_person = under_joints(people.amodal_mask[:, 0], people.joints)
    assert on_person[present].mean() > 0.95
    limbs = present.clone()
    limbs[:, [0, 14, 15, 16, 17]] = False  # nose, eyes and ears lie on the rim of the head
    assert on_person[limbs].mean() > 0.99
    inside = (people.joints[..., :2] >= 0) & (people.joints[..., :2] < 128)
    assert inside[present].all()


def test_visible_joints_are_those_before_the_occluder(people: SyntheticPeople) -> None:
    present = people.joints[..., 2] > 0
    assert not (people.joint_visible & ~present).any()
    on_visible = under_joints(people.visible_mask[:, 0], people.joints)
    on_hidden = under_joints(people.invisible_mask[:, 0], people.joints)
    assert on_visible[people.joint_visible].mean() > 0.95
    assert on_hidden[present & ~people.joint_visible].mean() > 0.9
    assert (people.joint_visible.sum(1) >= 1).all()


def test_hand_joints_start_at_the_wrists_and_stay_close(people: SyntheticPeople) -> None:
    wrists = people.joints[:, [4, 7], None, :2]
    distance = (people.hands[..., :2] - wrists).norm(dim=-1)
    assert distance[:, :, 0].max() < 0.01
    assert distance.max() < 0.16 * 128


def test_densepose_labels_are_the_person(people: SyntheticPeople) -> None:
    assert torch.equal(people.densepose_i > 0, people.amodal_mask[:, 0] > 0)
    assert people.densepose_i.max() <= 24
    assert (people.densepose_uv * (1 - people.amodal_mask)).abs().max() == 0
    assert len(people.densepose_i.unique()) >= 20


def test_densepose_parts_lie_at_their_joints(people: SyntheticPeople) -> None:
    parts = {4: (3,), 7: (4,), 9: (7, 9, 11, 13), 12: (8, 10, 12, 14), 0: (23, 24)}  # joint: labels there
    for joint, labels in parts.items():
        found = under_joints(people.densepose_i, people.joints)[:, joint]
        near = torch.isin(found, torch.tensor((*labels, *_neighbours(joint)), dtype=torch.uint8))
        present = people.joints[:, joint, 2] > 0
        assert near[present].float().mean() > 0.6, joint


def _neighbours(joint: int) -> tuple[int, ...]:
    """Labels of what may stand before a joint without being a mistake: the forearm at a wrist."""
    return {4: (20, 22), 7: (19, 21)}.get(joint, ())


def upright_poses(seeds: range) -> list[Pose]:
    return [sample_pose(Draws(seed, "pose")) for seed in seeds]


def test_right_is_on_the_left_of_the_picture_of_who_faces_it() -> None:
    seeds = range(HELD_OUT_FIRST_SEED + 2000, HELD_OUT_FIRST_SEED + 2048)
    towards = torch.tensor([math.cos(math.radians(pose.yaw)) for pose in upright_poses(seeds)])
    joints = render_people(seeds, size=32).joints
    for right, left in ((2, 5), (8, 11), (14, 15)):
        both = (joints[:, right, 2] > 0) & (joints[:, left, 2] > 0)
        offset = joints[:, left, 0] - joints[:, right, 0]
        assert (offset[both & (towards > 0.85)] > 0).all()
        assert (offset[both & (towards < -0.85)] < 0).all()
    assert (towards > 0.85).sum() > 5 and (towards < -0.85).sum() > 1


def test_from_behind_the_nose_is_not_marked() -> None:
    seeds = range(HELD_OUT_FIRST_SEED + 2000, HELD_OUT_FIRST_SEED + 2048)
    away = torch.tensor([
        math.cos(math.radians(pose.yaw)) < -0.9 and abs(pose.angles["head_yaw"]) < 20
        for pose in upright_poses(seeds)
    ])  # fmt: skip
    assert away.any()
    assert not (render_people(seeds, size=32).joints[away, 0, 2] > 0).any()


def test_another_pose_keeps_who_and_clothes_but_moves_joints() -> None:
    seeds, others = SEEDS[:6], [seed + 500 for seed in SEEDS[:6]]
    first, second = render_people(seeds), render_people(seeds, pose_seeds=others)
    assert [text.rpartition(", ")[0] for text in first.captions] == [
        text.rpartition(", ")[0] for text in second.captions
    ]
    moved = (first.joints[..., :2] - second.joints[..., :2]).norm(dim=-1)
    assert (moved.max(1).values > 10).all()
    skin_and_cloth = [person_colour(people) for people in (first, second)]
    assert (skin_and_cloth[0] - skin_and_cloth[1]).abs().mean() < 0.12


def person_colour(people: SyntheticPeople) -> torch.Tensor:
    inside = people.amodal_mask
    return (people.cutout * inside).flatten(2).sum(2) / inside.flatten(2).sum(2)


def test_pose_seeds_equal_to_the_seeds_change_nothing(people: SyntheticPeople) -> None:
    assert_same(render_people(SEEDS[:2], pose_seeds=SEEDS[:2]), picked(people, [0, 1]))


def assert_same_within_rounding(one: SyntheticPeople, other: SyntheticPeople) -> None:
    """Equal but at single pixels where a triangle's edge falls to the other side of a centre."""
    for name in ("occluded", "unoccluded", "complete", "cutout"):
        apart = (getattr(one, name) - getattr(other, name).cpu()).abs().amax(1)
        assert apart.mean() < 2e-3 and (apart > 0.05).float().mean() < 0.01, name
    for name in ("amodal_mask", "visible_mask", "densepose_i"):
        differs = (getattr(one, name) != getattr(other, name).cpu()).float().mean()
        assert differs < 0.005, name
    torch.testing.assert_close(other.joints[..., :2].cpu(), one.joints[..., :2], atol=1e-2, rtol=0)
    assert one.captions == other.captions


def test_rounding_of_the_body_changes_no_picture(
    people: SyntheticPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another device's order of sums does to the vertices, which every other step follows from."""
    asset = body_asset()
    noise = torch.rand(asset.mean.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    shaken = dataclasses.replace(asset, mean=asset.mean + 1e-7 * noise)
    monkeypatch.setattr(person, "body_asset", lambda device: shaken)
    again = render_people(SEEDS[:4])
    assert not torch.equal(again.joints, people.joints[:4])
    assert_same_within_rounding(picked(people, [0, 1, 2, 3]), again)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU to compare with the CPU")
def test_a_gpu_draws_what_the_cpu_draws(people: SyntheticPeople) -> None:
    assert_same_within_rounding(picked(people, [0, 1, 2, 3]), render_people(SEEDS[:4], device="cuda"))


def test_size_scales_the_same_person() -> None:
    small, large = render_people(SEEDS[:4], size=64), render_people(SEEDS[:4], size=128)
    assert torch.allclose(small.joints[..., :2] * 2, large.joints[..., :2], atol=0.01)
    shrunk = functional.avg_pool2d(large.amodal_mask, 2)
    assert (shrunk - small.amodal_mask).abs().mean() < 0.02


def test_before_white_only_what_is_behind_changes(people: SyntheticPeople) -> None:
    studio = render_people(SEEDS, background="white")
    assert torch.equal(studio.unoccluded, people.cutout)
    images = {name: getattr(people, name) for name in ("occluded", "unoccluded", "complete", "others")}
    assert_same(dataclasses.replace(studio, **images), people)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 8}, "16"),
        ({"occlusion": 1.0}, "occlusion"),
        ({"occlusion": -0.1}, "occlusion"),
        ({"background": "black"}, "scene, white"),
    ],
)
def test_impossible_requests_say_what_is_possible(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        render_people([1], **options)
