"""What a finished run keeps of its frames."""

from dataclasses import replace

import pytest
import torch

from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.shot import shot_of
from saff_fast.scene.reader import read_scene
from saff_fast.train.checkpoint import load_checkpoint
from saff_fast.train.rendering import load_run
from saff_fast.train.run import train
from saff_fast.train.texturing import textures_of
from saff_fast.train.trainer import Trainer


@pytest.fixture
def opaque(scene_folder, tmp_path, tiny_config):
    """A scene, and a model whose static field is opaque wherever it is asked."""
    scene = read_scene(scene_folder, 36)
    model = Trainer(scene, tmp_path, tiny_config()).model
    model.field.static.log_initial_density, model.field.static.initial_blend_logit = 6.0, -20.0
    return scene, model


def test_a_trained_view_with_textures_is_its_frame(opaque):
    scene, model = opaque
    still = torch.zeros_like(scene.motion_masks)
    textured = replace(model, textures=textures_of(model, scene.images, still, model.trained))
    for frame in (0, 4):
        pictures = [
            ShotRenderer(textured, textures=which).render(shot_of(model, frame, frame), ["rgb"])["rgb"]
            for which in (True, False)
        ]
        errors = [(picture - scene.images[frame] / 255).abs().max() for picture in pictures]
        assert errors[0] < 0.01
        assert errors[1] > 0.2


def test_no_static_texture_where_motion_was_seen(opaque):
    scene, model = opaque
    moved = torch.zeros_like(scene.motion_masks)
    moved[2, 10:20, 30:40] = 1
    textures = textures_of(model, scene.images, moved, model.trained)
    seen = textures.static[:, 4]
    grown = slice(9, 21), slice(29, 41)  # and right beside it
    assert seen[2][grown].max() == 0
    assert seen[2].sum() == pytest.approx(36 * 64 - 12 * 12, abs=2)
    assert seen[1].min() > 0.99


def test_movers_are_seen_where_the_dynamic_field_is_opaque(opaque):
    scene, model = opaque
    model.field.static.initial_blend_logit = 20.0
    model.field.dynamic.log_initial_density = 6.0
    textures = textures_of(model, scene.images, torch.ones_like(scene.motion_masks), model.trained)
    assert textures.static[:, 4].max() == 0
    assert textures.dynamic[:, 4].max() > 0.99
    assert torch.isfinite(textures.dynamic).all()


def test_processes_share_the_frames(opaque, monkeypatch):
    scene, model = opaque
    parts = []
    monkeypatch.setattr("saff_fast.train.texturing.keep_largest", parts.extend)
    for frames in ([0, 2, 4], [1, 3, 5], model.trained):
        textures_of(model, scene.images, scene.motion_masks, frames)
    torch.testing.assert_close(torch.maximum(*parts[:2]), parts[2], atol=0, rtol=0)
    assert (parts[0][[1, 3, 5]] == -torch.inf).all()


@pytest.mark.parametrize("held_out", [(), (2,)])
def test_only_a_finished_run_has_textures(scene_folder, tmp_path, tiny_config, held_out):
    run = tmp_path / "run"
    train(scene_folder, run, tiny_config(hold_out=held_out))  # 12 steps
    names = {
        step: {name for name in load_checkpoint(run / "checkpoints", step).tensors if name.startswith("textures.")}
        for step in (10, 12)
    }
    assert names == {10: set(), 12: {"textures.static", "textures.dynamic"}}
    textures = load_run(run).textures
    assert textures.frames == tuple(frame for frame in range(6) if frame not in held_out)
    assert textures.static.shape == textures.dynamic.shape == (len(textures.frames), 5, 36, 64)
    assert textures.static.isfinite().all()


def test_textures_can_be_left_out(scene_folder, tmp_path, tiny_config):
    train(scene_folder, tmp_path / "run", tiny_config(textures=False))
    assert load_run(tmp_path / "run").textures is None


def test_a_run_that_goes_on_forgets_them(scene_folder, finished, tmp_path, tiny_config):
    assert load_run(finished).textures is not None
    assert Trainer(read_scene(scene_folder, 36), finished, tiny_config()).model.textures is None
