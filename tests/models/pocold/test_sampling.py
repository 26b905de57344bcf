"""PoCoLD's sampling on tiny random networks: what must hold whatever the weights are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from figura.models.diffusion.guidance import cumulative
from figura.models.diffusion.networks import image_posterior
from figura.models.diffusion.schedulers import PNDM, scheduler_of, timesteps_of
from figura.models.pocold import sampling
from figura.models.pocold.attention import CrossAttention, Factors
from figura.models.pocold.pipeline import Given, check_given, pad_to_multiple, repose_images
from figura.models.pocold.sampling import (
    Branches,
    Kept,
    Looks,
    Weights,
    generate,
    latent_labels,
    trace_source,
)
from figura.tests.models.cancelling import CancelsAfter
from figura.tests.models.pocold import tiny

SIZE = 32
TARGET = tiny.body_labels(2, SIZE, SIZE)
SOURCE = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
REFERENCE = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny.tiny_pocold()


def called(model: Any, kind: type, work) -> int:
    """How often modules of that kind are called by work()."""
    count = []
    hooks = [
        module.register_forward_hook(lambda *_: count.append(1))
        for module in model.modules() if isinstance(module, kind)
    ]  # fmt: skip
    try:
        work()
    finally:
        for hook in hooks:
            hook.remove()
    return len(count)


class TestGuidance:
    @pytest.mark.parametrize(
        "weights", [(5.0, 5.0), (1.0, 1.0), (2.0, 4.0), (1.0, 3.0), (3.0, 1.0), (0.0, 2.0)]
    )
    def test_branches_that_cancel_change_nothing(self, model, weights):
        labels, maps = latent_labels(TARGET, (4, 4)), sampling.source_maps(model, SOURCE)
        latents, t = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(2)), torch.tensor(300)
        with torch.no_grad():
            found = Branches(model, labels, maps, Weights(*weights))(latents, t)
            networks = model.networks
            three = [networks(latents, t, *each) for each in ((None, None), (labels, None), (labels, maps))]
        torch.testing.assert_close(found, cumulative(*three, *weights), atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize(
        "error", [torch.OutOfMemoryError("none"), RuntimeError("MPS backend out of memory"), MemoryError()]
    )
    def test_one_by_one_is_the_same_as_together(self, model, monkeypatch, caplog, error):
        labels, maps = latent_labels(TARGET, (4, 4)), sampling.source_maps(model, SOURCE)
        latents, t = torch.randn(2, 4, 4, 4), torch.tensor(300)
        predict = Branches(model, labels, maps, Weights(2.0, 4.0))
        with torch.no_grad():
            together = predict(latents, t)

            def no_memory(*_):
                raise error

            monkeypatch.setattr(predict, "_in_one_batch", no_memory)
            alone = predict(latents, t)
        torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)
        assert not predict.together and "one by one" in caplog.text

    def test_other_errors_of_the_network_come_through(self, model, monkeypatch):
        def broken(*_):
            raise RuntimeError("sizes do not match")

        predict = Branches(model, latent_labels(TARGET, (4, 4)), None, Weights(2.0, 4.0))
        monkeypatch.setattr(predict, "_in_one_batch", broken)
        with pytest.raises(RuntimeError, match="sizes do not match"), torch.no_grad():
            predict(torch.randn(2, 4, 4, 4), torch.tensor(300))

    def test_weights_decay_to_three_as_in_the_released_code(self):
        decaying = Weights(5.0, 2.0, decay=True)
        assert decaying.at(999) == (pytest.approx(4.995), 2.0)
        assert decaying.at(100) == (3.0, 2.0)
        assert Weights(5.0, 4.0).at(1) == (5.0, 4.0)

    @pytest.mark.parametrize(("t", "weight"), [(999, 4.995), (500, 2.5), (100, 2.0)])
    def test_the_weight_of_a_pose_alone_decays_to_two_as_in_the_released_code(self, model, t, weight):
        """There max(w t / 1000, 2); with a source the least weight is given, and the script gives 3."""
        labels, time = latent_labels(TARGET, (4, 4)), torch.tensor(t)
        latents = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            found = Branches(model, labels, None, Weights(5.0, 5.0, decay=True))(latents, time)
            none, posed = (model.networks(latents, time, each, None) for each in (None, labels))
        torch.testing.assert_close(found, none + weight * (posed - none), atol=1e-4, rtol=1e-4)


class TestGenerate:
    def test_pose_alone_calls_no_attention(self, model):
        assert called(model, CrossAttention, lambda: generate(model, TARGET, steps=2)) == 0

    @pytest.mark.parametrize(
        ("procedure", "sampled"), [("released", True), ("paper", True), ("figura", False)]
    )
    def test_released_runs_draw_the_latents_of_pictures_from_their_posterior(
        self, model, monkeypatch, procedure, sampled
    ):
        """The released pipeline takes latent_dist.sample() * 0.18215 of source and reference."""
        seen, kept_of = [], sampling.keep_outside

        def watched(kept, known, *rest):
            seen.append(known)
            return kept_of(kept, known, *rest)

        monkeypatch.setattr(sampling, "keep_outside", watched)
        watch = model.networks.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        kept = Kept(REFERENCE, torch.ones(2, 1, SIZE, SIZE))
        for seed in (5, [5, 9]):
            generate(model, TARGET, SOURCE, kept=kept, steps=1, seed=seed, procedure=procedure)
        watch.remove()
        first, second = (dict(zip(("source", "reference"), seen[part])) for part in (slice(2), slice(2, 4)))
        for name, picture in (("source", SOURCE), ("reference", REFERENCE)):
            posterior = image_posterior(model.vae, picture)
            scale = model.vae.config.scaling_factor
            away = (first[name] / scale - posterior.mode()) / posterior.std
            assert bool(away.abs().max() > 1e-3) is sampled
            if sampled:
                assert away.mean().abs() < 0.5 and 0.6 < away.std() < 1.4
            assert torch.equal(first[name][0], second[name][0]), "each by its own seed"
            assert torch.equal(first[name][1], second[name][1]) is not sampled

    def test_the_source_is_encoded_once(self, model):
        count = called(model, type(model.networks.encoder), lambda: generate(model, TARGET, SOURCE, steps=3))
        assert count == 1

    def test_results_are_pictures_and_the_same_seeds_give_the_same_ones(self, model):
        first = generate(model, TARGET, SOURCE, steps=3, seed=5)
        assert first.shape == SOURCE.shape and first.min() >= 0 and first.max() <= 1
        assert torch.equal(first, generate(model, TARGET, SOURCE, steps=3, seed=[5, 6]))
        assert not torch.equal(first, generate(model, TARGET, SOURCE, steps=3, seed=6))
        alone = generate(model, TARGET[1:], SOURCE[1:], steps=3, seed=6)
        torch.testing.assert_close(first[1:], alone, atol=1e-4, rtol=1e-3)

    def test_outside_the_mask_the_reference_stays_bit_for_bit(self, model):
        mask = torch.zeros(2, 1, SIZE, SIZE)
        mask[:, :, 3:17, 5:20] = 1
        made = generate(model, TARGET, SOURCE, kept=Kept(REFERENCE, mask), steps=3)
        outside = (mask == 0).expand_as(made)
        assert torch.equal(made[outside], REFERENCE[outside])
        assert not torch.equal(made, REFERENCE)

    def test_a_whole_mask_is_plain_generation(self, model):
        kept = Kept(REFERENCE, torch.ones(2, 1, SIZE, SIZE))
        made = generate(model, TARGET, SOURCE, kept=kept, steps=3)
        assert torch.equal(made, generate(model, TARGET, SOURCE, steps=3))

    @pytest.mark.parametrize("steps", [1, 2, 7, 50, 61])
    def test_pndm_walks_the_whole_schedule(self, steps):
        times = timesteps_of(scheduler_of(PNDM), steps).tolist()
        assert times[0] == 999 and times == sorted(times, reverse=True) and times[-1] >= 0
        assert len(set(times)) == len(times) - (steps > 1) and len(times) >= steps

    def test_pndm_finds_a_known_picture(self):
        # A perfect predictor knows z_0, so that every step count has to arrive there.
        clean = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
        scheduler = scheduler_of(PNDM)

        def predict(latents, t):
            alpha = scheduler.alphas_cumprod[t]
            return (latents - alpha**0.5 * clean) / (1 - alpha) ** 0.5

        noise = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(
            sampling.sample(predict, noise, scheduler, 20), clean, atol=1e-3, rtol=1e-3
        )

    def test_cancelling_ends_it(self, model):
        with pytest.raises(KeyboardInterrupt):
            generate(model, TARGET, SOURCE, steps=3, on_step=CancelsAfter(1))


def full_size() -> Any:
    """A model that says it has the released sizes, and the times it is asked about."""
    times: list[int] = []

    class Sized(type(tiny.tiny_pocold())):
        released = True

    model = tiny.tiny_pocold()
    model.__class__ = Sized
    forward = model.networks.forward
    model.networks.forward = lambda z, t, *rest: (times.append(int(t)), forward(z, t, *rest))[1]
    return model, times


class TestProcedures:
    def test_full_size_takes_the_time_steps_of_the_authors_run(self):
        from diffusers import PNDMScheduler

        theirs = PNDMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True,
            set_alpha_to_one=False, steps_offset=1,
        )  # fmt: skip
        theirs.set_timesteps(50)
        model, times = full_size()
        generate(model, TARGET, SOURCE, weights=Weights(1.0, 1.0), steps=50)
        assert times == theirs.timesteps.tolist() and (times[0], times[-1]) == (981, 1)

    @torch.no_grad()
    def test_the_released_end_is_that_of_the_authors_run(self, monkeypatch):
        from diffusers import PNDMScheduler

        theirs = PNDMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True,
            set_alpha_to_one=False, steps_offset=1,
        )  # fmt: skip
        theirs.set_timesteps(3)
        (model, _), ends = full_size(), []
        monkeypatch.setattr(model, "decode", lambda latents: ends.append(latents) or latents)
        generate(model, TARGET, SOURCE, weights=Weights(1.0, 1.0), steps=3, seed=5)
        labels, maps = latent_labels(TARGET, (4, 4)), sampling.source_maps(model, SOURCE, [5, 6])
        latents = sampling.draw_noise([5, 6], (4, 4, 4))
        for t in theirs.timesteps:
            latents = theirs.step(model.networks(latents, t, labels, maps), t, latents).prev_sample
        torch.testing.assert_close(ends[0], latents, atol=1e-5, rtol=1e-4)

    def test_the_released_sizes_are_known(self):
        from figura.models.pocold.networks import PoCoLDModel, PoCoLDNetworks, released_config

        with torch.device("meta"):
            full = PoCoLDModel(tiny.tiny_vae(), PoCoLDNetworks(released_config()))
        assert full.released and not tiny.tiny_pocold().released

    def test_each_procedure_by_name(self, model):
        given = Weights(4.0, 5.0)
        assert sampling.procedure_of(model, None, given) == (False, given)
        assert sampling.procedure_of(full_size()[0], None, given) == (True, Weights(4.0, 5.0, True))
        assert sampling.procedure_of(model, "paper", Weights(4.0, 5.0, True)) == (True, given)
        assert sampling.procedure_of(full_size()[0], "figura", given) == (False, given)
        with pytest.raises(ValueError, match="procedure is 'mine'; it is one of released, paper, figura"):
            sampling.procedure_of(model, "mine", given)

    def test_other_schedulers_keep_their_time_steps(self):
        model, times = full_size()
        generate(model, TARGET, weights=Weights(1.0, 1.0), scheduler="ddim", steps=4)
        assert times[0] == 999

    def test_what_is_kept_is_exact_at_the_released_end_too(self):
        mask = torch.zeros(2, 1, SIZE, SIZE)
        mask[..., 8:24] = 1
        made = generate(full_size()[0], TARGET, SOURCE, kept=Kept(REFERENCE, mask), steps=3)
        assert torch.equal(made[..., :8], REFERENCE[..., :8])


def test_a_latents_label_is_that_of_the_middle_of_its_cell():
    labels = torch.zeros(1, 16, 24, dtype=torch.uint8)
    labels[:, 4::8, 4::8] = 7
    assert (latent_labels(labels, (2, 3)) == 7).all()


class TestTracing:
    def test_shares_and_colours_are_those_of_the_dense_matrix(self):
        generator = torch.Generator().manual_seed(0)
        d, e = (torch.randn(2, 3, *shape, generator=generator) for shape in ((24, 5), (5, 12)))
        factors = Factors(d.softmax(-1), e.softmax(-1), (6, 4), (3, 4))
        target = torch.tensor([0, 1, 2, 3]).repeat(2, 6, 1)
        theirs = torch.tensor([0, 1, 2, 5]).repeat(2, 3, 1)
        looks, dense = Looks(target, theirs), factors.dense().mean(1)
        looks(factors)
        # The source shows parts 1 and 2 of the target's 1, 2 and 3; background does not count.
        rows, columns = target[0].flatten(), theirs[0].flatten()
        like = sum(dense[:, rows == part][..., columns == part].sum((1, 2)) for part in (1, 2))
        torch.testing.assert_close(looks.matched(), like / int(((rows == 1) | (rows == 2)).sum()))
        source = torch.rand(2, 3, 6, 8, generator=generator)
        cells = source.unflatten(2, (3, 2)).unflatten(4, (4, 2)).mean((3, 5)).flatten(2)
        wanted = (dense @ cells.mT).mT.unflatten(2, (6, 4)).repeat_interleave(2, 2).repeat_interleave(2, 3)
        torch.testing.assert_close(looks.carried(source, (12, 8)), wanted)

    def test_shares_and_pictures(self, model):
        traced = trace_source(model, REFERENCE, TARGET, SOURCE, TARGET.flip(1))
        assert traced.carried.shape == REFERENCE.shape
        assert ((traced.matched >= 0) & (traced.matched <= 1)).all()
        low, high = SOURCE.amin((2, 3), keepdim=True), SOURCE.amax((2, 3), keepdim=True)
        assert (traced.carried >= low).all() and (traced.carried <= high).all()

    def test_one_part_everywhere_is_all_matched(self, model):
        labels = torch.full_like(TARGET, 2)
        torch.testing.assert_close(
            trace_source(model, REFERENCE, labels, SOURCE, labels).matched, torch.ones(2)
        )

    def test_what_is_seen_of_a_picture_does_not_hang_on_its_place_in_a_batch(self, model):
        both = trace_source(model, REFERENCE, TARGET, SOURCE, TARGET.flip(1))
        last = trace_source(model, REFERENCE[1:], TARGET[1:], SOURCE[1:], TARGET[1:].flip(1))
        torch.testing.assert_close(both.carried[1:], last.carried)
        torch.testing.assert_close(both.matched[1:], last.matched)

    def test_without_labels_the_share_is_unknown(self, model):
        assert trace_source(model, REFERENCE, TARGET, SOURCE).matched.isnan().all()


class TestImages:
    def test_other_sizes_are_padded_and_cropped_back(self, model):
        target = tiny.body_labels(1, 27, 37)
        reference, mask = REFERENCE[:1, :, :27, :30].repeat(1, 1, 1, 2)[..., :37], torch.zeros(1, 1, 27, 37)
        mask[..., 20:, 30:] = 1
        source = SOURCE[:1, :, :21]
        made = repose_images(
            model, Given(target, source, tiny.body_labels(1, 21, 32), reference, mask), steps=2
        )
        assert made.image.shape == made.carried.shape == (1, 3, 27, 37)
        outside = (mask == 0).expand_as(made.image)
        assert torch.equal(made.image[outside], reference[outside])

    def test_padding_leaves_multiples_alone_and_what_was_there(self):
        assert pad_to_multiple(SOURCE, 8) is SOURCE
        grown = pad_to_multiple(SOURCE[..., :29, :31], 8)
        assert grown.shape == SOURCE.shape and torch.equal(grown[..., :29, :31], SOURCE[..., :29, :31])
        assert torch.equal(grown[..., 31, :31], SOURCE[..., 28, :31])
        assert torch.equal(grown[..., :29, 31], SOURCE[..., :29, 30])
        labels = pad_to_multiple(TARGET[:, :29], 8)
        assert labels.shape == TARGET.shape and (labels[:, 29:] == 0).all()

    def test_steps_of_all_chunks_count(self, model, monkeypatch):
        monkeypatch.setattr("figura.models.diffusion.batches.IMAGES_AT_ONCE", 1)
        seen = []
        made = repose_images(
            model,
            Given(TARGET, SOURCE),
            steps=2,
            seed=3,
            on_step=lambda done, total, _: seen.append((done, total)),
        )
        assert seen == [(number, 6) for number in range(1, 7)]
        whole = generate(model, TARGET, SOURCE, steps=2, seed=3)
        torch.testing.assert_close(made.image, whole, atol=1e-4, rtol=1e-3)

    def test_without_the_trace_the_pictures_are_the_same_and_no_pass_is_spent(self, model):
        given = Given(TARGET, SOURCE, TARGET.flip(1))
        passes = []
        counter = model.networks.register_forward_hook(lambda *_: passes.append(1))
        traced = repose_images(model, given, steps=2)
        with_trace = len(passes)
        made = repose_images(model, given, steps=2, trace=False)
        counter.remove()
        assert torch.equal(made.image, traced.image)
        assert len(passes) - with_trace == with_trace - 1
        assert traced.carried.any() and not made.carried.any() and made.matched.isnan().all()

    def test_a_size_far_from_the_trained_one_is_told(self, model, caplog):
        repose_images(model, Given(tiny.body_labels(1, 80, 80)), steps=1)
        assert "trained on pictures of 32 x 32" in caplog.text

    mask = torch.ones(2, 1, SIZE, SIZE)

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            (Given(TARGET, mask=mask), "mask came without reference"),
            (Given(TARGET, reference=REFERENCE), "reference came without mask"),
            (Given(TARGET, source_labels=TARGET), "source_densepose came without a source"),
            (
                Given(TARGET, SOURCE, TARGET[:, :9]),
                "source_densepose has 32 x 9 pixels but source has 32 x 32",
            ),
            (Given(TARGET, reference=REFERENCE[..., :8], mask=mask), "reference has 8 x 32 pixels"),
            (Given(TARGET, reference=REFERENCE, mask=mask * 0), "mask is empty"),
            (Given(TARGET, reference=REFERENCE, mask=mask * 0.45), "mask is nowhere above 0.5 .*is 0.45"),
        ],
    )
    def test_what_does_not_fit_is_told(self, given, words):
        with pytest.raises(ValueError, match=words):
            check_given(given)
