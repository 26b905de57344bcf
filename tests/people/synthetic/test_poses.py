"""Bodies and poses: what joints allow, bones that keep their length, words that are known."""

import torch
from figura.models.diffusion.text import TOKENS, WordTokenizer, split_words
from figura.models.phac.networks import CUTOUT_SUFFIX
from figura.people.synthetic import body, poses
from figura.people.synthetic.captions import describe
from figura.people.synthetic.clothes import (
    BOTTOMS,
    COLOUR_NAMES,
    HAIR_CUTS,
    HAIR_NAMES,
    PATTERNS,
    SLEEVES,
    sample_outfits,
)
from figura.people.synthetic.draws import Draws
from hypothesis import given
from hypothesis import strategies as st

SEEDS = st.lists(st.integers(0, 2**40), min_size=1, max_size=8)
BONES = (
    ("shoulder", "elbow", 0.165), ("elbow", "wrist", 0.148), ("hip", "knee", 0.245), ("knee", "ankle", 0.232),
)  # fmt: skip


def posed(seeds: list[int], pose_seeds: list[int] | None = None) -> body.Body:
    proportions = body.sample_proportions(Draws(seeds, "body", "cpu", 256))
    return body.pose_body(proportions, poses.sample_poses(Draws(pose_seeds or seeds, "pose", "cpu", 256)))


@given(SEEDS)
def test_joints_stay_within_their_limits(seeds: list[int]) -> None:
    drawn = poses.sample_poses(Draws(seeds, "pose", "cpu", 256))
    for name, low, high in zip(poses.ANGLES, poses._LOW, poses._HIGH, strict=True):
        value = drawn.angles[name]
        unitless = name.endswith(("_inward", "_up"))
        degrees = value if unitless else torch.rad2deg(value)
        assert (degrees >= low - 1e-3).all() and (degrees <= high + 1e-3).all(), name
    assert ((drawn.curl >= 0) & (drawn.curl <= 1)).all()


@given(SEEDS)
def test_elbows_and_knees_bend_one_way_only(seeds: list[int]) -> None:
    person = posed(seeds)
    for side in ("r", "l"):
        p = person.points
        thigh, shin = p[f"{side}_knee"] - p[f"{side}_hip"], p[f"{side}_ankle"] - p[f"{side}_knee"]
        lateral = person.pelvis[:, :, 0]
        assert ((torch.linalg.cross(lateral, thigh) * shin).sum(1) >= -1e-4).all()  # heel behind
        upper, lower = p[f"{side}_elbow"] - p[f"{side}_shoulder"], p[f"{side}_wrist"] - p[f"{side}_elbow"]
        bend = torch.rad2deg(torch.acos(torch.cosine_similarity(upper, lower).clamp(-1, 1)))
        assert (bend <= 146).all()


@given(SEEDS, st.integers(1, 1000))
def test_bones_keep_their_length_in_every_pose(seeds: list[int], offset: int) -> None:
    one, other = posed(seeds), posed(seeds, [seed + offset for seed in seeds])
    height = one.proportions.height
    for start, end, share in BONES:
        for side in ("r", "l"):
            names = f"{side}_{start}", f"{side}_{end}"
            lengths = [(b.points[names[1]] - b.points[names[0]]).norm(dim=1) for b in (one, other)]
            assert torch.allclose(lengths[0], lengths[1], atol=1e-4)
            scale = one.proportions.legs if start in ("hip", "knee") else torch.ones_like(height)
            assert torch.allclose(lengths[0], share * height * scale, atol=1e-4)


@given(SEEDS)
def test_both_sides_are_as_long_and_hands_begin_at_wrists(seeds: list[int]) -> None:
    person = posed(seeds)
    for hand, side in ((0, "r"), (1, "l")):
        assert torch.allclose(person.hands[:, hand, 0], person.points[f"{side}_wrist"], atol=1e-5)
    reach = (person.hands - person.hands[:, :, :1]).norm(dim=-1).amax(-1)
    assert (reach < 0.13 * person.proportions.height[:, None]).all()


def test_everyday_poses_all_occur_and_standing_most() -> None:
    kinds = poses.sample_poses(Draws(range(3000), "pose", "cpu", 256)).kind
    counts = torch.bincount(kinds, minlength=len(poses.POSE_NAMES))
    assert (counts > 20).all()
    assert counts[0] > 2 * counts.min()


def test_both_hands_wave() -> None:
    drawn = poses.sample_poses(Draws(range(2000), "pose", "cpu", 256))
    waving = drawn.kind == poses.POSE_NAMES.index("waving")
    right = (drawn.angles["r_arm_abduction"] > drawn.angles["l_arm_abduction"])[waving]
    assert 0.35 < right.float().mean() < 0.65


@given(SEEDS)
def test_a_row_depends_on_its_seed_alone(seeds: list[int]) -> None:
    together = Draws(seeds, "clothes", "cpu", 16).uniform(0, 1, 4)
    alone = [Draws([seed], "clothes", "cpu", 16).uniform(0, 1, 4) for seed in seeds]
    assert torch.equal(together, torch.cat(alone))


def test_streams_of_one_seed_differ() -> None:
    body_numbers, pose_numbers = (Draws([7], name, "cpu", 16).uniform(0, 1, 8) for name in ("body", "pose"))
    assert not torch.equal(body_numbers, pose_numbers)


def test_captions_say_what_is_drawn_in_words_the_text_encoder_knows() -> None:
    seeds = range(400)
    drawn = poses.sample_poses(Draws(seeds, "pose", "cpu", 256))
    people = body.pose_body(body.sample_proportions(Draws(seeds, "body", "cpu", 256)), drawn)
    outfit = sample_outfits(Draws(seeds, "clothes", "cpu", 256), people.proportions.woman)
    captions = describe(people, outfit, drawn)
    for index, text in enumerate(captions):
        assert text.startswith("a woman" if people.proportions.woman[index] else "a man")
        assert COLOUR_NAMES[outfit.top_colour[index]] in text
        assert text.endswith(poses.POSE_NAMES[drawn.kind[index]])
    assert {word for text in captions for word in split_words(text)} <= set(possible_words())
    tokenizer = WordTokenizer.from_captions(captions)
    tokens, _ = tokenizer(captions)
    assert not (tokens == tokenizer.words.index("<unk>")).any()


def possible_words() -> list[str]:
    parts = (*COLOUR_NAMES, *HAIR_NAMES, *HAIR_CUTS, *PATTERNS, *SLEEVES, *BOTTOMS, *poses.POSE_NAMES)
    return split_words(" ".join(parts) + " a an woman man with no tied hair in and ,")


def test_captions_fit_the_text_encoder_with_their_background() -> None:
    seeds = range(400)
    drawn = poses.sample_poses(Draws(seeds, "pose", "cpu", 256))
    people = body.pose_body(body.sample_proportions(Draws(seeds, "body", "cpu", 256)), drawn)
    outfit = sample_outfits(Draws(seeds, "clothes", "cpu", 256), people.proportions.woman)
    lengths = [len(split_words(text + CUTOUT_SUFFIX)) for text in describe(people, outfit, drawn)]
    assert max(lengths) + 2 <= TOKENS  # start and end
