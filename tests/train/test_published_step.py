"""The published objective: against a straight computation, and which parameters each term reaches."""

import pytest
import torch

from saff_fast.fields.reference_field import ReferenceField, ReferenceFieldConfig
from saff_fast.geometry.cameras import Cameras
from saff_fast.geometry.rays import pixel_rays
from saff_fast.geometry.spaces import NdcSpace
from saff_fast.render.compositing import composite_dynamic
from saff_fast.render.density_noise import DensityNoise
from saff_fast.render.sampling import UniformSampler
from saff_fast.scene.sampler import Targets
from saff_fast.train.model import SceneModel
from saff_fast.train.published_config import Moment, PublishedLossConfig
from saff_fast.train.published_step import batch_losses
from tests.train.straight_line import published_losses

N_FRAMES, N_RAYS, N_SAMPLES, N_SEMANTIC = 5, 40, 20, 6
STAGE_A, STAGE_B, STAGE_C = 0.05, 0.12, 0.5
BACKWARDS, FORWARDS = 10, 11
ONCE = {name: 1.0 for name in PublishedLossConfig().weights}
"""All weights 1, nothing decays."""
UNWEIGHTED = ONCE | {"decay_depth": False, "decay_optical_flow": False, "stage": 0.1}


@pytest.fixture
def model():
    """The published networks, small and in float64, in front of cameras that look along -z."""
    c2w = torch.diag(torch.tensor([1.0, -1, -1])).repeat(N_FRAMES, 1, 1)
    centres = 0.1 * torch.randn(N_FRAMES, 3, 1)
    intrinsics = torch.tensor([60.0, 60, 32, 18]).repeat(N_FRAMES, 1)
    cameras = Cameras(torch.cat([c2w, centres], 2).double(), intrinsics.double(), 36, 64)
    config = ReferenceFieldConfig(depth=8, width=12, n_bands=3, n_bands_views=2)
    field = ReferenceField(config, N_FRAMES, N_SEMANTIC).double()
    with torch.no_grad():
        for network in (field.static, field.dynamic):
            network.alpha_linear.weight *= 30
            network.alpha_linear.bias.fill_(2.0)
        field.dynamic.sf_linear.weight *= 0.2
        field.dynamic.sf_linear.bias *= 0.1
    return SceneModel(field, UniformSampler(N_SAMPLES), cameras, NdcSpace.published(cameras))


@pytest.fixture
def targets():
    pixels = torch.stack([torch.randint(64, (N_RAYS,)), torch.randint(36, (N_RAYS,))], 1).double() + 0.5
    values = torch.rand(6, N_RAYS, dtype=torch.float64)
    return Targets(
        frames=torch.arange(N_RAYS) % N_FRAMES,
        pixels=pixels,
        rgb=torch.rand(N_RAYS, 3, dtype=torch.float64),
        depth=values[0],
        depth_confidence=(values[1] - 0.2).clamp_min(0),
        motion=values[2],
        next_pixels=pixels + torch.randn(N_RAYS, 2),
        next_valid=(values[3] > 0.3).double(),
        previous_pixels=pixels + torch.randn(N_RAYS, 2),
        previous_valid=(values[4] > 0.3).double(),
        semantic=torch.randn(N_RAYS, N_SEMANTIC, dtype=torch.float64),
        saliency=values[5],
    )


@pytest.fixture
def jitter():
    return torch.rand(N_RAYS, N_SAMPLES).double()


def noise_of(model, targets, jitter, moment, std):
    rays = pixel_rays(model.space, model.cameras, targets.frames, targets.pixels, targets.frames.double())
    samples = model.occupancy.march(rays, jitter)
    assert (samples.dynamic_packed_info[:, 1] == N_SAMPLES).all()
    noise = DensityNoise.of(jitter, moment.step, samples, std)  # per length in NDC
    return [noise.draw(number).view(N_RAYS, N_SAMPLES).double() for number in range(5)]


def gradients(terms, model):
    parameters = {name: p for name, p in model.field.named_parameters() if p.requires_grad}
    grads = torch.autograd.grad(sum(terms.values()), parameters.values(), allow_unused=True, retain_graph=True)
    zeros = (torch.zeros_like(p) if grad is None else grad for p, grad in zip(parameters.values(), grads, strict=True))
    return dict(zip(parameters, zeros, strict=True))


@pytest.mark.parametrize("literal", [False, True])
@pytest.mark.parametrize("depth_full", [False, True])
@pytest.mark.parametrize(
    ("progress", "step"), [(STAGE_A, BACKWARDS), (STAGE_B, FORWARDS), (STAGE_C, BACKWARDS), (STAGE_C, FORWARDS)]
)
def test_losses_and_gradients_are_those_of_the_formulas(model, targets, jitter, progress, step, literal, depth_full):
    config = PublishedLossConfig(**UNWEIGHTED, literal=literal, depth_full=depth_full, noise_std=2.0)
    moment = Moment(step, progress)
    actual, _ = batch_losses(model, targets, jitter, 0, config, moment)
    draws = noise_of(model, targets, jitter, moment, 2.0)
    expected = published_losses(model, targets, jitter, config, config.phase(moment), draws, N_SAMPLES)
    assert actual.keys() == expected.keys()
    for name, loss in expected.items():
        torch.testing.assert_close(actual[name], loss, rtol=1e-6, atol=1e-6, msg=lambda text, n=name: f"{n}: {text}")
        grads, mine = gradients({name: loss}, model), gradients({name: actual[name]}, model)
        scale = max(float(grad.norm()) for grad in grads.values())
        for key, grad in grads.items():
            assert float((mine[key] - grad).norm()) <= 1e-6 * scale, (name, key)


HEADS = {
    "static": {"alpha", "rgb", "dino", "sal", "w"},
    "dynamic": {"alpha", "rgb", "dino", "sal", "sf", "prob"},
}
REACHES = {
    "render_loss": ("s.alpha s.rgb s.w", "d.alpha d.rgb d.sf d.prob"),
    "render_loss_dino": ("s.alpha s.dino s.w", "d.alpha d.dino d.sf d.prob"),
    "render_loss_sal": ("s.alpha s.sal s.w", "d.alpha d.sal d.sf d.prob"),
    "prob_reg_loss": ("", "d.prob"),
    "sf_cycle_loss": ("", "d.sf d.prob"),
    "sf_reg_loss": ("", "d.alpha d.sf"),
    "depth_loss": ("", "d.alpha"),
    "flow_loss": ("", "d.alpha d.sf"),
    "sf_sm_loss_spatial": ("", "d.sf"),
    "sf_sm_loss_kinetic": ("", "d.sf"),
    "sf_sm_loss_chain": ("", "d.sf"),
    "entropy_loss": ("s.w", ""),
}


def reached_heads(grads):
    heads = {f"{name[0]}.{name.split('.')[1].split('_')[0]}" for name, grad in grads.items() if grad.any()}
    return heads & {f"{field[0]}.{head}" for field, heads in HEADS.items() for head in heads}


@pytest.mark.parametrize("literal", [False, True])
def test_each_term_reaches_its_heads_only(model, targets, jitter, literal):
    config = PublishedLossConfig(**UNWEIGHTED, literal=literal, noise_std=0.0)
    terms, _ = batch_losses(model, targets, jitter, 0, config, Moment(FORWARDS, STAGE_C))
    assert terms.keys() == REACHES.keys()
    for name, (static, dynamic) in REACHES.items():
        assert reached_heads(gradients({name: terms[name]}, model)) == {*static.split(), *dynamic.split()}, name


def test_the_dynamic_share_of_the_joint_render_carries_no_gradient(model, targets, jitter):
    """It masks the renders of the dynamic field; still only the joint render itself reaches the static field."""
    config = PublishedLossConfig(**UNWEIGHTED, noise_std=0.0)
    terms, _ = batch_losses(model, targets, jitter, 0, config, Moment(FORWARDS, STAGE_C))
    rays = pixel_rays(model.space, model.cameras, targets.frames, targets.pixels, targets.frames.double())
    joint = (model.renderer(rays, jitter).outputs.rgb - targets.rgb).square().mean()
    expected, actual = (gradients({"rgb": loss}, model) for loss in (joint, terms["render_loss"]))
    for name in expected:
        if name.startswith("static"):
            torch.testing.assert_close(actual[name], expected[name])


def test_confidence_that_is_the_same_everywhere_changes_nothing(model, targets, jitter):
    config, prob = PublishedLossConfig(**UNWEIGHTED, noise_std=0.0), model.field.dynamic.prob_linear
    losses = []
    for logit in (2.0, -2.0):
        with torch.no_grad():
            prob.weight.zero_()
            prob.bias.fill_(logit)
        losses.append(batch_losses(model, targets, jitter, 0, config, Moment(FORWARDS, STAGE_B))[0]["render_loss"])
    torch.testing.assert_close(*losses)


def empty_the_far_end(model, targets, jitter):
    """Half of the rays have no density at their last sample, so their weights do not sum to 1."""
    rays = pixel_rays(model.space, model.cameras, targets.frames, targets.pixels, targets.frames.double())
    with torch.no_grad():
        last = model.renderer(rays, jitter).dynamic.sigmas.view(N_RAYS, N_SAMPLES)[:, -1]
        model.field.dynamic.alpha_linear.bias -= last.median() / 2  # the cube's edge is 2 of the network's


def changed(terms, others):
    return {name for name in terms if not torch.isclose(terms[name], others[name], rtol=1e-4)}


def test_literal_and_intended_forms_differ_where_they_must(model, targets, jitter):
    empty_the_far_end(model, targets, jitter)
    moment = Moment(FORWARDS, STAGE_A)

    def losses(rows, **options):
        config = PublishedLossConfig(**UNWEIGHTED, noise_std=0.0, **options)
        return batch_losses(model, targets[rows], jitter[rows], 0, config, moment)[0]

    defective = {"sf_reg_loss", "depth_loss", "flow_loss", "sf_sm_loss_kinetic", "entropy_loss"}
    inner = targets.frames == 2  # no warp leaves the sequence from there, not even over two frames
    assert changed(losses(inner), losses(inner, literal=True)) == defective
    first = targets.frames == 0
    beyond = {"render_loss", "render_loss_dino", "render_loss_sal", "sf_cycle_loss", "sf_sm_loss_spatial"}
    assert changed(losses(first), losses(first, literal=True)) == defective | beyond


def test_where_no_neighbour_exists_it_is_not_asked(model, targets, jitter):
    config = PublishedLossConfig(**UNWEIGHTED, noise_std=0.0)
    last = targets.frames == N_FRAMES - 1
    terms, _ = batch_losses(model, targets[last], jitter[last], 0, config, Moment(FORWARDS, STAGE_C))
    assert terms["sf_sm_loss_kinetic"] == 0
    assert terms["sf_sm_loss_chain"] == 0
    backwards, _ = batch_losses(model, targets[last], jitter[last], 0, config, Moment(BACKWARDS, STAGE_C))
    assert backwards["sf_sm_loss_chain"] > 0


def test_the_chain_leads_to_the_same_picture_where_nothing_moves(model, targets, jitter):
    """Without flow, in a field that knows no time, the render from two frames away is the render itself."""
    dynamic = model.field.dynamic
    with torch.no_grad():
        dynamic.sf_linear.weight.zero_()
        dynamic.sf_linear.bias.zero_()
        for layer in (0, 5):
            dynamic.pts_linears[layer].weight[:, 3:28:4] = 0  # time is every fourth of the encoded inputs
    inner = targets.frames == 2
    targets, jitter = targets[inner], jitter[inner]

    def loss(chain_sf):
        config = PublishedLossConfig(**UNWEIGHTED, chain_sf=chain_sf, noise_std=0.0)
        return batch_losses(model, targets, jitter, 0, config, Moment(FORWARDS, STAGE_C))[0]["render_loss"]

    rays = pixel_rays(model.space, model.cameras, targets.frames, targets.pixels, targets.frames.double())
    batch = model.renderer(rays, jitter)
    alone = composite_dynamic(batch.dynamic, batch.lengths, batch.samples.packed_info, model.field.dynamic_semantics)
    error = (alone.outputs.rgb - targets.rgb).square().mean(1)
    moving = batch.outputs.blend
    torch.testing.assert_close(loss(True) - loss(False), (error * moving).sum() / moving.sum())


def test_pixels_stay_where_nothing_moves_and_cameras_are_one(model, targets, jitter):
    still = SceneModel(
        model.field,
        model.occupancy,
        Cameras(model.cameras.c2w[:1].repeat(N_FRAMES, 1, 1), model.cameras.intrinsics, 36, 64),
        model.space,
    )
    empty_the_far_end(model, targets, jitter)
    with torch.no_grad():
        model.field.dynamic.sf_linear.weight.zero_()
        model.field.dynamic.sf_linear.bias.zero_()
    here = Targets(**(vars(targets) | {"next_pixels": targets.pixels, "previous_pixels": targets.pixels}))
    for literal in (False, True):
        config = PublishedLossConfig(**UNWEIGHTED, literal=literal, noise_std=0.0)
        terms, _ = batch_losses(still, here, jitter, 0, config, Moment(0, STAGE_A))
        assert (terms["flow_loss"] < 1e-9) == (not literal)
    with torch.no_grad():
        model.field.dynamic.alpha_linear.bias.fill_(1e4)  # opaque: then the sum is the mean
    terms, _ = batch_losses(still, here, jitter, 0, config, Moment(0, STAGE_A))
    assert terms["flow_loss"] < 1e-6


def test_mined_rays_stay_out_of_the_joint_render(model, targets, jitter):
    config = PublishedLossConfig(**UNWEIGHTED, noise_std=0.0)
    moment, n_mined = Moment(0, STAGE_A), 15
    terms, statistics = batch_losses(model, targets, jitter, n_mined, config, moment)
    whole, all_statistics = batch_losses(model, targets, jitter, 0, config, moment)
    mse = [10 ** (-s["psnr"] / 10) for s in (statistics, all_statistics)]
    torch.testing.assert_close(terms["render_loss"] - mse[0], whole["render_loss"] - mse[1])
    rest, _ = batch_losses(model, targets[n_mined:], jitter[n_mined:], 0, config, moment)
    rays = pixel_rays(model.space, model.cameras, targets.frames, targets.pixels, targets.frames.double())
    joint = model.renderer(rays, jitter).outputs.rgb
    torch.testing.assert_close(mse[0], (joint - targets.rgb)[n_mined:].square().mean())
    assert terms.keys() == rest.keys()


def test_a_weight_of_zero_turns_a_term_off(model, targets, jitter):
    for name, term in (("w_cycle", "sf_cycle_loss"), ("dino_coe", "render_loss_dino"), ("w_depth", "depth_loss")):
        config = PublishedLossConfig(**(ONCE | {name: 0.0}))
        terms, _ = batch_losses(model, targets, jitter, 0, config, Moment(0, STAGE_A))
        assert REACHES.keys() - terms.keys() == {term}


def test_weights_and_decay_multiply_their_terms(model, targets, jitter):
    once, _ = batch_losses(model, targets, jitter, 0, PublishedLossConfig(**UNWEIGHTED), Moment(0, STAGE_B))
    config = PublishedLossConfig(decay_extra=True, stage=0.1)
    weighted, _ = batch_losses(model, targets, jitter, 0, config, Moment(0, STAGE_B))
    ratios = {name: (weighted[name] / once[name]).item() for name in once}
    expected = {"render_loss": 1, "render_loss_dino": 0.004, "render_loss_sal": 0.004, "prob_reg_loss": 0.1}
    expected |= {"sf_cycle_loss": 1, "sf_reg_loss": 0.1, "depth_loss": 0.004, "flow_loss": 0.002}
    expected |= {f"sf_sm_loss_{part}": 0.1 for part in ("spatial", "kinetic", "chain")} | {"entropy_loss": 0.001}
    assert ratios == pytest.approx(expected)
    steady = PublishedLossConfig(decay_depth=False, decay_optical_flow=False, stage=0.1)
    weighted, _ = batch_losses(model, targets, jitter, 0, steady, Moment(0, STAGE_B))
    decaying = ("render_loss_dino", "render_loss_sal", "depth_loss", "flow_loss")
    assert {name: (weighted[name] / once[name]).item() for name in decaying} == pytest.approx(
        {"render_loss_dino": 0.04, "render_loss_sal": 0.04, "depth_loss": 0.04, "flow_loss": 0.02}
    )
