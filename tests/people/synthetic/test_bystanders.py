"""Other people behind and in front have a place, a mask and hide what they should."""

import pytest
import torch
from figura.people.synthetic import scene as scenes
from figura.people.synthetic.bystanders import cutout, person_in_front
from figura.people.synthetic.camera import Camera, frame_points, look_at
from figura.people.synthetic.light import Light, sample_light
from figura.people.synthetic.occluders import grown
from figura.people.synthetic.place import Lamp
from figura.people.synthetic.scene import draw_surroundings, sample_scene

SIZE = 96
PERSON = torch.tensor([[-0.4, 0.0, 0.0], [0.4, 1.75, 0.0]])


@pytest.fixture(scope="module")
def camera() -> Camera:
    return frame_points(look_at(torch.tensor([0.0, 0.9, 0.0]), 4.0, 1.5, 0.0), PERSON, 0.7, (0.5, 0.5), SIZE)


@pytest.fixture(scope="module")
def light() -> Light:
    return sample_light(1, [Lamp((1.0, 3.0, 2.0), (1.0, 1.0, 1.0), 0.8)], (0.4, 0.4, 0.4), (0.2, 0.2, 0.2))


def test_a_cutout_is_a_whole_upright_person() -> None:
    kept = cutout(9_000_001)
    assert kept is cutout(9_000_001)
    assert 1.4 < kept.height < 2.3 and kept.alpha.shape[-2] > kept.alpha.shape[-1]
    assert 0.2 < kept.alpha.mean() < 0.9 and torch.isfinite(kept.colour).all()


@pytest.mark.parametrize("share", [0.15, 0.4, 0.6])
def test_somebody_in_front_hides_the_share_asked_for(share: float, light: Light) -> None:
    amodal = torch.zeros(SIZE, SIZE)
    amodal[10:88, 40:60] = 1
    for seed in range(10_000_500, 10_000_504):
        thing = person_in_front(seed, share, amodal, light)
        assert thing is not None
        coverage, image = grown(thing, share, amodal)
        hidden = ((coverage[0] >= 0.5) & (amodal > 0.5)).sum() / amodal.sum()
        assert abs(float(hidden) - share) < 0.01
        assert torch.isfinite(image).all() and image.min() >= 0 and image.max() <= 1


def test_people_behind_have_a_mask_where_they_are_seen(
    camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = 0
    for seed in range(10_000_600, 10_000_612):
        images = {}
        for often in (0.0, 1.0):
            monkeypatch.setattr(scenes, "_OTHERS", dict.fromkeys(scenes._OTHERS, often))
            scene = sample_scene(seed, camera)
            images[often] = draw_surroundings(scene, scene.light(seed), camera, SIZE)
        (alone, nobody), (crowded, others) = images[0.0], images[1.0]
        assert nobody.max() == 0 and ((others == 0) | (others == 1)).all()
        seen += int(others.sum() > 20)
        if others.sum() > 20:
            change = (crowded - alone).abs().mean(0, keepdim=True)
            assert change[others > 0].mean() > 5 * change[others == 0].mean()
    assert seen >= 6
