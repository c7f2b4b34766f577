"""A published checkpoint becomes a run: it renders what SAFF renders, and whatever is no such file is refused."""

import dataclasses
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from saff_fast.config import override
from saff_fast.errors import UserError
from saff_fast.evaluate.evaluate_run import evaluate_run
from saff_fast.geometry.rays import pixel_rays
from saff_fast.playback.views import render_run
from saff_fast.preparation import prepare_synthetic
from saff_fast.saff.import_checkpoint import import_checkpoint
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.pipeline import segment_run
from saff_fast.train.config import ExperimentConfig
from saff_fast.train.rendering import load_run
from saff_fast.train.run import train
from saff_fast.train.run_folder import read_config, read_meta
from tests.saff.published import published_rays, published_render, random_checkpoint
from tests.views import view_of

HEIGHT, WIDTH, N_FRAMES, FRAME = 18, 32, 6, 4


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saff") / "scene"
    prepare_synthetic(folder, HEIGHT, WIDTH, N_FRAMES)
    return folder


def config_with(*assignments):
    return override(ExperimentConfig(), ["field.kind=reference", f"train.height={HEIGHT}", *assignments])


def saved(path, content):
    torch.save(content, path)
    return path


def in_float64(model):
    cameras = dataclasses.replace(
        model.cameras, c2w=model.cameras.c2w.double(), intrinsics=model.cameras.intrinsics.double()
    )
    space = dataclasses.replace(model.space, low=model.space.low.double(), high=model.space.high.double())
    return dataclasses.replace(model, field=model.field.double(), cameras=cameras, space=space)


def test_rays_are_the_published_ones(scene, tmp_path):
    import_checkpoint(saved(tmp_path / "a.tar", random_checkpoint(n_semantic=64)), scene, tmp_path / "r", config_with())
    model = load_run(tmp_path / "r")
    pixels = model.cameras.pixel_grid()
    poses = torch.full((len(pixels),), FRAME)
    rays = pixel_rays(model.space, model.cameras, poses, pixels, poses.float())
    origins, directions, views = published_rays(np.load(scene / "poses_bounds.npy"), FRAME, HEIGHT, WIDTH)
    torch.testing.assert_close(2 * rays.origins.double() - 1, origins, rtol=0, atol=2e-6)
    torch.testing.assert_close(2 * rays.directions.double(), directions, rtol=0, atol=2e-6)
    torch.testing.assert_close(rays.viewdirs.double(), views, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("sizes", "keys", "options"),
    [
        ({}, [], {}),
        ({"deep": True, "width": 24}, ["field.reference.tanh=false"], {"tanh": False}),
        ({"depth": 6}, ["field.reference.n_samples=40"], {"n_samples": 40}),
        ({}, ["field.reference.static_part=false"], {"rigid": False}),
    ],
    ids=["common", "deep_no_tanh", "shallower_fewer_samples", "no_static_part"],
)
def test_a_view_is_what_the_published_formulas_give(scene, tmp_path, sizes, keys, options):
    checkpoint = random_checkpoint(n_semantic=64, **sizes)
    import_checkpoint(saved(tmp_path / "360000.tar", checkpoint), scene, tmp_path / "run", config_with(*keys))
    rays = published_rays(np.load(scene / "poses_bounds.npy"), FRAME, HEIGHT, WIDTH)
    expected = published_render(checkpoint, rays, 2 * FRAME / N_FRAMES - 1, **options)
    model = load_run(tmp_path / "run")
    assert model.field.static_semantics.out_features == 64
    view = view_of(in_float64(model), FRAME, FRAME)
    for name in ("rgb", "semantic", "saliency", "blend"):
        actual = getattr(view, name).reshape(expected[name].shape)
        torch.testing.assert_close(actual, expected[name], rtol=0, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
    filled = expected["t"] + (1 - view.opacity.flatten()).clamp_min(0)
    torch.testing.assert_close(view.parameter.flatten(), filled.clamp(0, 1), rtol=0, atol=1e-5)
    rough = view_of(load_run(tmp_path / "run"), FRAME, FRAME)
    assert (rough.rgb - view.rgb).abs().max() < 1e-3  # float32: phases of the highest frequency


def test_everything_that_works_on_a_run_works_on_it(scene, tmp_path):
    checkpoint = saved(tmp_path / "360000.tar", random_checkpoint(n_semantic=64, width=8))
    run = tmp_path / "run"
    import_checkpoint(checkpoint, scene, run, config_with("field.reference.n_samples=8"))
    assert read_meta(run)["imported"] == str(checkpoint)
    config = read_config(run)
    assert config.field.reference.width == 8
    assert config.train.steps == 360000
    render_run(run)
    segment_run(run, SegmentConfig())
    assert evaluate_run(run)["splits"]
    train(scene, run, config)  # it has done its steps


def test_heads_that_are_missing(scene, tmp_path):
    content = random_checkpoint(n_semantic=0, saliency=False)
    import_checkpoint(saved(tmp_path / "0.tar", content), scene, tmp_path / "run", config_with())
    view = view_of(load_run(tmp_path / "run"), 0, 0)
    assert view.semantic.shape == (HEIGHT, WIDTH, 0)
    assert view.saliency.abs().max() == 0
    assert view.rgb.max() > 0


class Evil:
    ran = False

    def __reduce__(self):
        return (setattr, (Evil, "ran", True))


def truncated(path):
    saved(path, random_checkpoint())
    path.write_bytes(path.read_bytes()[:-5000])


def real_tar(path):
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("letter.txt"), io.BytesIO(b""))


def without(key, name=None):
    content = random_checkpoint(n_semantic=64)
    if name is None:
        del content[key]
    else:
        del content[key][name]
    return content


def added(name):
    content = random_checkpoint(n_semantic=64)
    content["network_rigid"][f"module.{name}"] = torch.zeros(2, 2)
    return content


def reshaped():
    content = random_checkpoint(n_semantic=64)
    content["network_rigid"]["module.rgb_linear.weight"] = torch.zeros(4, 16)
    return content


REFUSED = {
    "absent": (lambda path: None, "there is no such file"),
    "truncated": (truncated, "is damaged or something else"),
    "a_real_tar": (real_tar, "is damaged or something else|holds other objects"),
    "empty": (lambda path: path.write_bytes(b""), "is damaged or something else"),
    "text": (lambda path: path.write_text("hello"), "is damaged or something else|holds other objects"),
    "code": (lambda path: saved(path, random_checkpoint() | {"x": Evil()}), "which could run code"),
    "code_in_a_pickle": (lambda path: path.write_bytes(pickle.dumps(Evil())), "which could run code|is damaged"),
    "a_list": (lambda path: saved(path, [1, 2]), "a dictionary, but holds a list"),
    "no_step": (lambda path: saved(path, without("global_step")), "lacks global_step"),
    "no_static": (lambda path: saved(path, without("network_rigid")), "lacks network_rigid"),
    "a_number_for_a_network": (lambda path: saved(path, random_checkpoint() | {"network_rigid": 3}), "map names to"),
    "no_trunk": (
        lambda path: saved(path, without("network_fn_state_dict", "module.pts_linears.0.weight")),
        "network_fn_state_dict lacks 'pts_linears.0.weight'",
    ),
    "no_blend": (
        lambda path: saved(path, without("network_rigid", "module.w_linear.bias")),
        "network_rigid lacks w_linear.bias;",
    ),
    "a_stranger": (lambda path: saved(path, added("fog.weight")), "network_rigid has fog.weight besides"),
    "no_view_directions": (lambda path: saved(path, added("output_linear.weight")), "without use_viewdirs"),
    "another_shape": (lambda path: saved(path, reshaped()), r"rgb_linear.weight must have shape \(3, 16\)"),
    "too_flat": (lambda path: saved(path, random_checkpoint(depth=5)), "depth must be at least 6, got 5"),
    "other_channels": (
        lambda path: saved(path, random_checkpoint(n_semantic=5)),
        "as many semantic channels as .* has, 64, but has 5",
    ),
}


@pytest.mark.parametrize(("write", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_published_checkpoint_is_refused(scene, tmp_path, write, message):
    path = tmp_path / "360000.tar"
    write(path)
    with pytest.raises(UserError, match=message) as caught:
        import_checkpoint(path, scene, tmp_path / "run", config_with())
    assert str(path) in str(caught.value)
    assert not (tmp_path / "run").exists()
    assert not Evil.ran


def test_a_scene_without_semantics_fits_every_checkpoint(scene, tmp_path):
    import shutil

    bare = shutil.copytree(scene, tmp_path / "bare", ignore=shutil.ignore_patterns("semantics", "saliency"))
    import_checkpoint(saved(tmp_path / "a.tar", random_checkpoint(n_semantic=5)), bare, tmp_path / "r", config_with())
    assert view_of(load_run(tmp_path / "r"), 0, 0).semantic.shape[-1] == 5


def test_a_run_that_exists_is_left_alone(scene, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").write_text("mine")
    path = saved(tmp_path / "360000.tar", random_checkpoint(n_semantic=64))
    with pytest.raises(UserError, match="must be new, but it exists"):
        import_checkpoint(path, scene, tmp_path / "run", config_with())
    assert [p.name for p in Path(tmp_path / "run").iterdir()] == ["letter.txt"]
