"""What is behind a person is seen by the same camera and lit by the same lamps as they are."""

import pytest
import torch
from figura.people.synthetic import scene as scenes
from figura.people.synthetic.camera import Camera, frame_points, look_at
from figura.people.synthetic.finishes import ROW
from figura.people.synthetic.raycast import View
from figura.people.synthetic.raycast import cast as cast_rays
from figura.people.synthetic.scene import draw_behind, draw_surroundings, sample_scene
from figura.people.synthetic.shadows import cast

SEEDS = range(10_000_400, 10_000_424)
SIZE = 64
PERSON = torch.tensor([[-0.4, 0.0, 0.0], [0.4, 1.75, 0.0]])


@pytest.fixture(scope="module")
def camera() -> Camera:
    return frame_points(look_at(torch.tensor([0.0, 0.9, 0.0]), 4.0, 1.5, 0.0), PERSON, 0.8, (0.5, 0.5), SIZE)


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "_OTHERS", dict.fromkeys(scenes._OTHERS, 0.0))


def block() -> torch.Tensor:
    """(n, 3): points all over a body's bulk."""
    points = torch.rand(6000, 3, generator=torch.Generator().manual_seed(0))
    return points * torch.tensor([0.5, 1.7, 0.3]) - torch.tensor([0.25, 0.0, 0.15])


def test_no_ray_goes_backwards() -> None:
    shell = torch.zeros(6, 2 + ROW)
    shell[:, 0] = torch.tensor([-2.0, 2.0, 0.0, 3.0, -4.0, 5.0])
    eye = torch.tensor([0.3, 1.5, 2.0])
    tiny = torch.tensor([0.0, -0.0, 1e-9, -1e-9])
    rays = torch.stack([tiny, tiny.flip(0), -torch.ones(4)])
    view = View(eye, rays, 2, lambda points: points)
    hits = cast_rays(view, torch.zeros(0, 7 + ROW), torch.zeros(0, 8 + ROW), shell)
    assert torch.equal(hits.distance, torch.full((4,), 6.0))


def test_every_kind_comes_and_no_two_scenes_are_alike(camera: Camera) -> None:
    drawn = [sample_scene(seed, camera) for seed in SEEDS]
    assert {scene.setting for scene in drawn} == {"room", "street", "park", "studio"}
    images = torch.stack([
        draw_behind(scene, scene.light(seed), camera, SIZE) for seed, scene in zip(SEEDS, drawn, strict=True)
    ])  # fmt: skip
    assert images.shape == (len(SEEDS), 3, SIZE, SIZE)
    assert torch.isfinite(images).all() and images.min() >= 0 and images.max() <= 1
    distances = torch.cdist(images.flatten(1), images.flatten(1)) + 1e3 * torch.eye(len(SEEDS))
    assert distances.min() > 3


def test_a_seed_gives_one_scene(camera: Camera) -> None:
    for seed in SEEDS[:4]:
        one, again = (
            draw_behind(s, s.light(seed), camera, SIZE) for s in (sample_scene(seed, camera) for _ in "ab")
        )
        assert torch.equal(one, again)


def test_scenes_are_exposed_for_the_eye(camera: Camera) -> None:
    images = torch.stack([
        draw_behind(scene, scene.light(seed), camera, SIZE)
        for seed, scene in ((seed, sample_scene(seed, camera)) for seed in SEEDS)
    ])  # fmt: skip
    means = images.mean((1, 2, 3))
    assert means.min() > 0.1 and means.max() < 0.97 and 0.3 < means.mean() < 0.75


def test_the_way_from_the_camera_to_the_person_is_free(camera: Camera) -> None:
    for seed in SEEDS:
        scene = sample_scene(seed, camera)
        rotation = scenes._rotation(scene.turn)
        eye = rotation @ camera.eye
        for share in torch.linspace(0.05, 1, 20):
            place = eye * share
            inside = (scene.boxes[:, :3] < place) & (place < scene.boxes[:, 3:6])
            assert not inside.all(1).any()


def test_a_person_darkens_the_ground_they_stand_on_and_nothing_far_away(camera: Camera) -> None:
    for seed in SEEDS[:10]:
        scene = sample_scene(seed, camera)
        light = scene.light(seed)
        shadows = cast(block(), light.directions[0], light.wide)
        without, with_person = (draw_behind(scene, light, camera, SIZE, s) for s in (None, shadows))
        feet = camera.project(torch.tensor([[0.0, 0.0, 0.2]]))[0]
        column, row = int(feet[0]), min(int(feet[1]), SIZE - 1)
        assert with_person[:, row, column].mean() < 0.93 * without[:, row, column].mean()
        assert (with_person <= without + 1e-5).all()


def test_the_shadow_falls_away_from_the_lamp() -> None:
    direction = torch.nn.functional.normalize(torch.tensor([1.0, 1.0, 0.0]), dim=0)
    shadows = cast(block(), direction, 0.1)
    ground = torch.tensor([[-0.9, 0.0, 0.0], [0.9, 0.0, 0.0]])
    lit = shadows.on_ground(ground.T, torch.eye(3), torch.ones(2))
    assert lit[0] < 0.3 and lit[1] > 0.95


def test_people_shade_themselves() -> None:
    direction = torch.tensor([0.0, 0.0, 1.0])
    shadows = cast(block(), direction, 0.1)
    points = torch.tensor([[0.0, 0.9, 0.15], [0.0, 0.9, -0.15]])
    normals = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    assert shadows.open_to_lamp(points, normals).tolist() == [1.0, 0.0]
    middle = shadows.open_to_surroundings(torch.tensor([[0.0, 0.9, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]]))
    assert middle < shadows.open_to_surroundings(points[:1], normals[:1])


def test_photographs_stand_behind_some_people(camera: Camera) -> None:
    photograph = torch.rand(3, 90, 120, generator=torch.Generator().manual_seed(0))
    drawn = [sample_scene(seed, camera, [photograph]) for seed in SEEDS]
    used = [scene.photograph is not None for scene in drawn]
    assert any(used) and not all(used)
    first = drawn[used.index(True)]
    image, others = draw_surroundings(first, first.light(1), camera, SIZE)
    assert image.shape == (3, SIZE, SIZE) and others.max() == 0
