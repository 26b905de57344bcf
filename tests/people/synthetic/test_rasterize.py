"""Triangles to pixels: coverage, depth and values against a slow oracle; clean ends; cameras."""

import pytest
import torch
from figura.people.synthetic.camera import Camera, frame_points, look_at
from figura.people.synthetic.layers import Layer
from figura.people.synthetic.rasterize import Samples, rasterize
from torch import Tensor

SIZE = 24


def layer(vertices: Tensor, faces: Tensor, name: str = "thing", **changes: object) -> Layer:
    count = len(vertices)
    part = torch.arange(count) % 24 + 1
    return Layer(name, vertices, faces, vertices.clone(), vertices[:, :2].clone(), part,
                 torch.full((count, 2), 0.5), two_sided=True, **changes)  # fmt: skip


def random_layer(seed: int, triangles: int = 12, spread: float = 0.8) -> Layer:
    generator = torch.Generator().manual_seed(seed)
    vertices = (torch.rand(3 * triangles, 3, generator=generator) - 0.5) * spread * 2
    vertices[:, 1] += 1
    return layer(vertices, torch.arange(3 * triangles).view(-1, 3))


@pytest.fixture
def camera() -> Camera:
    seen = look_at(torch.tensor([0.0, 1.0, 0.0]), 3.0, 1.3, 0.1, 0.2)
    corners = torch.tensor([[-0.7, 0.3, 0.0], [0.7, 1.7, 0.0]])
    return frame_points(seen, corners, 0.9, (0.5, 0.5), SIZE)


def oracle(made: Layer, camera: Camera) -> tuple[Tensor, Tensor]:
    """(S,S) number of the nearest triangle at each pixel's centre, -1 for none, and its depth, in float64."""
    seen = camera.project(made.vertices).double()
    nearest = torch.full((SIZE, SIZE), torch.inf, dtype=torch.float64)
    number = torch.full((SIZE, SIZE), -1)
    line = torch.arange(SIZE, dtype=torch.float64) + 0.5
    point = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    for index, face in enumerate(made.faces.tolist()):
        a, b, c = seen[face]
        basis = torch.stack([b[:2] - a[:2], c[:2] - a[:2]], 1)
        weights = (point - a[:2]) @ torch.linalg.inv(basis).T
        inside = (weights >= 0).all(-1) & (weights.sum(-1) <= 1)
        inverse = (1 - weights.sum(-1)) / a[2] + weights[..., 0] / b[2] + weights[..., 1] / c[2]
        depth = torch.where(inside, 1 / inverse, torch.inf)
        number[depth < nearest] = index
        nearest = torch.minimum(nearest, depth)
    return number, nearest


@pytest.mark.parametrize("seed", range(6))
def test_coverage_and_depth_are_the_oracles(camera: Camera, seed: int) -> None:
    made = random_layer(seed)
    samples = rasterize([made], camera)
    number, nearest = oracle(made, camera)
    covered = samples.image(torch.ones(len(samples.pixel)))[0] > 0
    assert (covered != (number >= 0)).sum() <= 1  # a centre on an edge
    along = ((samples.position - camera.eye) @ -camera.rotation[2]).double()
    truth = nearest.flatten()[samples.pixel]
    assert ((along - truth).abs() < 1e-3).float().mean() > 0.99


@pytest.mark.parametrize("seed", range(3))
def test_tiny_triangles_lose_no_pixel_between_them(camera: Camera, seed: int) -> None:
    steps = 90 + seed
    line = torch.linspace(-0.6, 0.6, steps)
    x, y = torch.meshgrid(line, line, indexing="xy")
    vertices = torch.stack([x, y + 1, 0.1 * torch.sin(9 * x)], -1).reshape(-1, 3)
    corner = (torch.arange(steps - 1)[:, None] * steps + torch.arange(steps - 1)).reshape(-1, 1)
    quads = corner + torch.tensor([0, 1, steps + 1, steps])
    faces = torch.cat([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    covered = rasterize([layer(vertices, faces)], camera)
    image = covered.image(torch.ones(len(covered.pixel)))[0]
    rows = image.nonzero()
    low, high = rows.amin(0) + 3, rows.amax(0) - 3
    assert bool(image[low[0] : high[0], low[1] : high[1]].all()) and len(rows) > 100


def test_positions_are_those_of_the_pixels(camera: Camera) -> None:
    samples = rasterize([random_layer(3)], camera)
    seen = camera.project(samples.position)
    assert torch.equal(seen[:, 0].floor().long(), samples.pixel % SIZE)
    assert torch.equal(seen[:, 1].floor().long(), samples.pixel // SIZE)
    assert torch.allclose(seen[:, :2] % 1, torch.tensor(0.5), atol=2e-3)
    torch.testing.assert_close(samples.rest, samples.position)
    torch.testing.assert_close(samples.uv, samples.position[:, :2])


def test_normals_face_the_camera_and_are_square_to_flat_triangles(camera: Camera) -> None:
    samples = rasterize([random_layer(5)], camera)
    assert bool(((samples.normal * samples.view).sum(1) > 0).all())
    torch.testing.assert_close(samples.normal.norm(dim=1), torch.ones(len(samples.pixel)))


def test_the_nearer_layer_is_seen_and_a_lifted_one_before_it(camera: Camera) -> None:
    square = torch.tensor([[-0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.5, 1.5, 0.0], [-0.5, 1.5, 0.0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    near, far = layer(square + torch.tensor([0, 0, 0.01]), faces, "near"), layer(square, faces, "far")
    inside = samples_within(rasterize([far, near], camera))
    assert inside.float().mean() == 1
    lifted = layer(square, faces, "far", lift=0.05)
    assert samples_within(rasterize([lifted, near], camera)).float().mean() == 0


def samples_within(samples: Samples) -> Tensor:
    """Which samples away from the rim are of the second layer."""
    middle = (samples.position[:, :2] - torch.tensor([0.0, 1.0])).abs().amax(1) < 0.4
    return samples.layer[middle] == 1


def test_a_surface_ends_where_it_shall(camera: Camera) -> None:
    square = torch.tensor([[-0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.5, 1.5, 0.0], [-0.5, 1.5, 0.0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    cut = rasterize([layer(square, faces, keep=square[:, 1] - 1.13)], camera)
    whole = rasterize([layer(square, faces)], camera)
    assert float(cut.position[:, 1].min()) >= 1.13 - 1e-3
    left = whole.pixel[whole.position[:, 1] >= 1.13]
    assert abs(len(left) - len(cut.pixel)) <= 1 and bool(torch.isin(cut.pixel, whole.pixel).all())


def test_only_outer_sides_of_closed_bodies_are_drawn(camera: Camera) -> None:
    square = torch.tensor([[-0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.5, 1.5, 0.0], [-0.5, 1.5, 0.0]])
    made = layer(square, torch.tensor([[0, 1, 2], [0, 2, 3]]))
    made.two_sided = False
    assert len(rasterize([made], camera).pixel) > 50
    made.faces = made.faces.flip(1)
    assert len(rasterize([made], camera).pixel) == 0


def test_labels_are_those_of_the_nearest_corner(camera: Camera) -> None:
    made = random_layer(1, 1)
    samples = rasterize([made], camera)
    assert len(samples.pixel) > 20
    distance = torch.cdist(samples.position, made.vertices)
    nearest = made.part[distance.argmin(1)]
    assert (nearest == samples.part).float().mean() > 0.75
    assert bool((samples.part_uv - 0.5).abs().max() < 1e-5)


def test_a_camera_of_another_size_sees_the_same(camera: Camera) -> None:
    points = random_layer(2).vertices
    small, large = camera.project(points), camera.resized(4 * SIZE).project(points)
    torch.testing.assert_close(4 * small[:, :2], large[:, :2])
    torch.testing.assert_close(small[:, 2], large[:, 2])


def test_rays_go_through_what_is_projected(camera: Camera) -> None:
    rays = camera.rays(SIZE)
    points = camera.eye + 2.0 * rays[5, 9]
    assert torch.allclose(camera.project(points)[:2], torch.tensor([9.5, 5.5]), atol=1e-3)
    torch.testing.assert_close(rays.norm(dim=-1), torch.ones(SIZE, SIZE))
