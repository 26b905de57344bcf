"""Apply CFLD with a stand-in of ComfyUI's MODEL: what is patched, and what the patches do."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from figura.models.cfld.attention import QueryBias, upward_attentions
from figura.models.cfld.config import released_config
from figura.nodes import cfld_native as native
from figura.tests.models.cfld import tiny
from figura.tests.nodes import test_cfld as shared
from torch.nn import functional as F


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny.tiny_cfld()


class StandIn:
    """What Apply CFLD uses of ComfyUI's ModelPatcher."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        self.state, self.model_options, self.patches, self.wrappers, self.inputs = state, {}, {}, {}, []

    def clone(self) -> StandIn:
        other = StandIn(self.state)
        other.model_options = copy.deepcopy(self.model_options)
        other.patches = {name: list(patches) for name, patches in self.patches.items()}
        other.inputs = list(self.inputs)
        other.wrappers = {place: list(wrappers) for place, wrappers in self.wrappers.items()}
        return other

    def model_state_dict(self, prefix: str) -> dict[str, torch.Tensor]:
        return {name: value for name, value in self.state.items() if name.startswith(prefix)}

    def add_patches(self, patches: dict[str, Any], added: float = 1.0, kept: float = 1.0) -> None:
        for name, patch in patches.items():
            self.patches.setdefault(name, []).append((added, patch, kept, None, None))

    def get_wrappers(self, kind: str, key: str) -> list[Any]:
        return self.wrappers.get((kind, key), [])

    def add_wrapper_with_key(self, kind: str, key: str, wrapper: Any) -> None:
        self.wrappers.setdefault((kind, key), []).append(wrapper)

    def set_model_input_block_patch(self, patch: Any) -> None:
        self.inputs.append(patch)

    def set_model_attn2_replace(self, patch: Any, block: str, number: int, index: int) -> None:
        options = self.model_options.setdefault("transformer_options", {})
        options.setdefault("patches_replace", {}).setdefault("attn2", {})[block, number, index] = patch


def stand_in(model: Any, width: int | None = None, channels: int = 4) -> StandIn:
    config = model.networks.config
    state = {
        native.host_name(name, config): torch.zeros(value.shape[0], width or value.shape[1])
        for name, value in model.key_values.items()
    }
    return StandIn(state | {native.FIRST_WEIGHT: torch.zeros(config.channels[0], channels, 3, 3)})


def apply(model: Any, stock: Any, **change: Any) -> Any:
    return native.FiguraApplyCFLD().run(stock, model, shared.image(), shared.pose_value(), **change)


def test_names_are_those_of_comfyui() -> None:
    name = "up_blocks.{}.attentions.{}.transformer_blocks.0.attn2.to_k.weight"
    host = "diffusion_model.output_blocks.{}.1.transformer_blocks.0.attn2.to_k.weight"
    for up, number, block in ((1, 0, 3), (2, 2, 8), (3, 2, 11)):
        assert native.host_name(name.format(up, number), released_config()) == host.format(block)


def test_the_model_is_cloned_and_gets_the_matrices(model: Any) -> None:
    stock = stand_in(model)
    patched, *_ = apply(model, stock)
    assert not stock.patches and not stock.model_options
    assert set(patched.patches) == set(stock.state) - {native.FIRST_WEIGHT}
    for name, value in model.key_values.items():
        [patch] = patched.patches[native.host_name(name, model.networks.config)]
        added, (kind, (matrix,)), kept, *_ = patch
        assert (added, kind, kept) == (1.0, "set", 1.0) and torch.equal(matrix, value)
    replaced = patched.model_options["transformer_options"]["patches_replace"]["attn2"]
    assert sorted(replaced) == [("output", number, 0) for number in (2, 3, 4, 5)]
    assert list(patched.wrappers) == [("diffusion_model", "figura_cfld")] and len(patched.inputs) == 1


def test_conditionings_differ_in_what_they_carry_and_fit_one_batch(model: Any) -> None:
    _, positive, pose_only, negative = apply(model, stand_in(model))
    carried = [each[0][1]["model_conds"] for each in (positive, pose_only, negative)]
    assert carried[0].keys() == carried[1].keys() == carried[2].keys() and len(carried[0]) == 6
    for name, value in carried[0].items():
        full, posed, none = (each[name] for each in carried)
        assert value.can_concat(posed) and value.concat([posed, none]).shape[0] == 3
        assert bool(full.cond.any()) and not bool(none.cond.any())
        assert torch.equal(posed.cond, full.cond) == name.startswith(native.RESIDUAL)
    assert torch.equal(pose_only[0][0], negative[0][0]) and not torch.equal(positive[0][0], negative[0][0])
    assert torch.equal(negative[0][0], model.networks.learnable_vector)


def test_carried_tensors_are_repeated_or_cut_to_the_batch() -> None:
    carried = native.Carried(torch.arange(2.0)[:, None])
    assert carried.process_cond(batch_size=5, device="cpu", area=None).cond.flatten().tolist() == [
        0,
        1,
        0,
        1,
        0,
    ]
    assert carried.process_cond(batch_size=1).size() == [1, 1]
    assert not carried.can_concat(native.Carried(torch.zeros(2, 2)))


def test_the_wrapper_moves_what_is_carried_to_where_patches_see_it() -> None:
    seen = {}

    def network(x, timesteps, context, y, control, options, **others):
        seen.update(options=options, others=others)
        return x

    own, tensor = {"patches": {}}, torch.ones(1)
    others = {f"{native.RESIDUAL}0": tensor, "num_video_frames": 3}
    native.hand_over(network, torch.zeros(1), None, None, None, None, own, **others)
    assert seen["options"][native.KEY] == {f"{native.RESIDUAL}0": tensor} and native.KEY not in own
    assert seen["others"] == {"num_video_frames": 3}


def test_what_is_carried_can_be_cut_into_windows() -> None:
    carried = native.Carried(torch.arange(6.0).view(3, 2))
    window = carried._copy_with(carried.cond[1:2]).process_cond(batch_size=2, area=None)
    assert isinstance(window, native.Carried) and window.cond.tolist() == [[2.0, 3.0], [2.0, 3.0]]


def test_residuals_enter_after_their_block_alone() -> None:
    patch, hidden = native.AddResidual([2, 5]), torch.zeros(2, 3, 4, 4)
    carried = {f"{native.RESIDUAL}1": torch.full((2, 3, 8, 8), 0.5)}
    made = {block: patch(hidden, {"block": ("input", block), native.KEY: carried}) for block in (2, 4, 5)}
    assert made[2] is hidden and made[4] is hidden
    torch.testing.assert_close(made[5], torch.full_like(hidden, 0.5))
    assert patch(hidden, {"block": ("input", 5)}) is hidden


def test_attention_agrees_with_our_own() -> None:
    torch.manual_seed(0)
    unet = tiny.tiny_unet()
    attention = upward_attentions(unet)[0]
    attention.set_processor(QueryBias(0))
    hidden, context = torch.randn(2, 64, 32), torch.randn(2, 4, 32)
    bias = torch.randn(2, 32, 8, 8)
    with torch.no_grad():
        expected = attention(hidden, context, query_biases=[bias])
        q, k, v = attention.to_q(hidden), attention.to_k(context), attention.to_v(context)
        options = {
            "n_heads": attention.heads,
            "activations_shape": [2, 32, 8, 8],
            native.KEY: {f"{native.BIAS}5": bias},
        }
        made = attention.to_out[0](native.BiasedAttention(5)(q, k, v, options))
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-4)


def test_without_a_bias_the_attention_is_the_stock_one() -> None:
    q, k, v = torch.randn(2, 16, 8), torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    made = native.BiasedAttention(3)(q, k, v, {"n_heads": 2})
    heads = [each.view(2, -1, 2, 4).transpose(1, 2) for each in (q, k, v)]
    torch.testing.assert_close(made, F.scaled_dot_product_attention(*heads).transpose(1, 2).reshape(2, 16, 8))


def test_what_another_node_had_put_there_gets_the_biased_queries(model: Any) -> None:
    stock = stand_in(model)
    stock.set_model_attn2_replace(lambda q, k, v, options: q * 0 + 7, "output", 5, 0)
    patched, *_ = apply(model, stock)
    replaced = patched.model_options["transformer_options"]["patches_replace"]["attn2"]["output", 5, 0]
    options = {"n_heads": 1}
    made = replaced(torch.zeros(1, 4, 8), torch.zeros(1, 2, 8), torch.zeros(1, 2, 8), options)
    assert bool((made == 7).all())


def test_the_bias_fits_maps_that_another_node_made_smaller() -> None:
    q, kv, bias = torch.zeros(1, 15, 4), torch.randn(1, 3, 4), torch.full((1, 4, 8, 8), 2.0)
    options = {"n_heads": 1, "original_shape": [1, 4, 16, 16], "activations_shape": [1, 4, 5, 3]}
    made = native.BiasedAttention(1)(q, kv, kv, {**options, native.KEY: {f"{native.BIAS}1": bias}})
    torch.testing.assert_close(made, F.scaled_dot_product_attention(torch.full_like(q, 2.0), kv, kv))


def test_a_model_that_is_patched_already_is_not_patched_twice(model: Any) -> None:
    once, *_ = apply(model, stand_in(model))
    twice, *_ = apply(model, once)
    replaced = twice.model_options["transformer_options"]["patches_replace"]["attn2"]
    assert len(twice.inputs) == 1 and [len(each) for each in twice.wrappers.values()] == [1]
    assert len(replaced) == 4 and all(each.before is None for each in replaced.values())


def kinds_of(patched: Any, name: str) -> list[Any]:
    return [value[0] if isinstance(value, tuple) else value for _, value, *_ in patched.patches[name]]


def test_a_lora_before_the_node_counts_as_one_behind_it(model: Any) -> None:
    stock = stand_in(model)
    name = native.host_name(next(iter(model.key_values)), model.networks.config)
    stock.add_patches({name: ("diff", (torch.ones(1),)), "others": ("diff", (torch.ones(1),))})
    stock.add_patches({name: "an adapter"}, 0.7)
    patched, *_ = apply(model, stock)
    assert kinds_of(patched, name) == ["set", "diff", "an adapter"]
    assert kinds_of(patched, "others") == kinds_of(stock, "others")
    assert kinds_of(stock, name) == ["diff", "an adapter"]
    twice, *_ = apply(model, patched)
    assert kinds_of(twice, name) == ["set", "diff", "an adapter"]


def test_a_merge_of_models_before_the_node_does_not_thin_its_matrices(model: Any) -> None:
    stock = stand_in(model)
    name = native.host_name(next(iter(model.key_values)), model.networks.config)
    stock.add_patches({name: ["another model's"]}, 0.4, 0.6)
    stock.add_patches({name: "an adapter"})
    patched, *_ = apply(model, stock)
    assert kinds_of(patched, name) == ["set", "an adapter"]


def test_inpainting_models_are_refused(model: Any) -> None:
    with pytest.raises(ValueError, match="takes 9 channels, as inpainting models do"):
        apply(model, stand_in(model, channels=9))


def test_models_that_do_not_fit_are_refused(model: Any) -> None:
    with pytest.raises(ValueError, match="model does not fit tiny CFLD.*not SD2 or SDXL"):
        apply(model, stand_in(model, width=1024))
    with pytest.raises(ValueError, match="8 of 8 matrices are absent"):
        apply(model, StandIn({}))
    with pytest.raises(TypeError, match="model must be a MODEL of ComfyUI; got str"):
        apply(model, "a checkpoint")


def test_a_second_source_needs_mix_here_too(model: Any) -> None:
    with pytest.raises(ValueError, match="second_source came without mix"):
        apply(model, stand_in(model), second_source=shared.image())


def test_a_pose_without_joints_is_named_here_too(model: Any) -> None:
    nobody = [{"people": [], "canvas_width": 44, "canvas_height": 64}]
    with pytest.raises(ValueError, match="pose_keypoint has no joints"):
        native.FiguraApplyCFLD().run(stand_in(model), model, shared.image(), nobody)
