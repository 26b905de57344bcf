"""Surfaces are cut cleanly, and relaxed without sliding."""

import torch
from figura.people.synthetic.asset import body_asset
from figura.people.synthetic.meshes import cut, hem, neighbours, relaxed, tube


def _grid(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Places and normals (n,6) of a flat square of `side` cells, and its triangles."""
    line = torch.linspace(0, 1, side + 1)
    y, x = torch.meshgrid(line, line, indexing="ij")
    place = torch.stack([x.flatten(), y.flatten(), torch.zeros(len(line) ** 2)], 1)
    i = (torch.arange(side)[:, None] * (side + 1) + torch.arange(side)).flatten()
    below = torch.stack([i, i + 1, i + side + 2], 1)
    above = torch.stack([i, i + side + 2, i + side + 1], 1)
    return torch.cat([place, torch.tensor([0.0, 0, 1]).expand(len(place), 3)], 1), torch.cat([below, above])


def _area(table: torch.Tensor, faces: torch.Tensor) -> float:
    a, b, c = (table[faces[:, k], :3] for k in range(3))
    return float(torch.linalg.cross(b - a, c - a)[:, 2].sum() / 2)


def test_a_cut_leaves_the_share_inside_and_a_straight_edge() -> None:
    table, faces = _grid(9)
    field = 0.37 - table[:, 1] + 0.2 * table[:, 0]
    cut_table, source, cut_faces, edges = cut(table, faces, field)
    assert abs(_area(cut_table, cut_faces) - 0.47) < 1e-3
    rim = cut_table[edges.flatten()]
    assert (0.37 - rim[:, 1] + 0.2 * rim[:, 0]).abs().amax() < 1e-3
    assert bool((field[source[edges.flatten()]] > 0).all())


def test_a_hem_goes_inwards_from_the_edge() -> None:
    table, faces = _grid(4)
    cut_table, source, cut_faces, edges = cut(table, faces, 0.6 - table[:, 0])
    whole, sources, all_faces = hem(cut_table, source, cut_faces, edges, 0.01)
    assert len(all_faces) == len(cut_faces) + 2 * len(edges) and len(whole) == len(sources)
    assert torch.allclose(whole[len(cut_table) :, 2], torch.tensor(-0.01))


def test_relaxing_flattens_along_normals_alone() -> None:
    table, faces = _grid(8)
    place, normals = table[:, :3].clone(), table[:, 3:]
    place[40, 2] = 0.1
    smooth = relaxed(place, neighbours(faces, len(place)), 0.5, 6, normals)
    assert torch.equal(smooth[:, :2], place[:, :2]) and float(smooth[40, 2]) < 0.05


def test_a_tube_is_closed_round_and_open_at_its_ends() -> None:
    faces = tube(3, 8)
    pairs = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).sort(1).values
    _, count = torch.unique(pairs, dim=0, return_counts=True)
    assert int((count == 1).sum()) == 2 * 8 and int(count.amax()) == 2


def test_components_in_steps_are_off_by_half_a_step_at_most() -> None:
    from figura.training.data.human_body import in_steps

    components = torch.randn(3, 50, 3, generator=torch.Generator().manual_seed(0)) * 0.01
    stored, steps = in_steps(components)
    made = stored.float() * torch.tensor(steps)[:, None, None]
    assert stored.dtype == torch.int8
    assert bool(((made - components).abs().amax((1, 2)) <= 0.501 * torch.tensor(steps)).all())


def test_shapes_are_exact_to_a_tenth_of_a_millimetre() -> None:
    components = body_asset().components
    assert components.shape[0] == 20 and components[0].abs().max() > 0.1
    assert components[1:].abs().max() / 127 / 2 < 1e-4
