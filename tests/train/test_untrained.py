"""Occupancy of times without a training frame."""

import dataclasses

import pytest
import torch

from saff_fast.scene.reader import read_scene
from saff_fast.train.rendering import load_run
from saff_fast.train.run import train
from saff_fast.train.trainer import Trainer
from saff_fast.train.untrained import carry_occupancy


def model_with_flow(trainer, forward, backward):
    """The trainer's model with one scene flow everywhere, in shares of the cube, and full occupancy."""
    model = trainer.model
    field, occupancy = model.field.dynamic, model.occupancy
    with torch.no_grad():
        for columns, flow in ((slice(5, 8), forward), (slice(8, 11), backward)):
            field.mlp.weights[-1][columns] = 0
            field.mlp.biases[-1][columns] = torch.tensor(flow) / field.flow_scale
    # What an untrained field shows weighs little.
    occupancy.config = dataclasses.replace(occupancy.config, dynamic_threshold=1e-5)
    occupancy.dynamic_candidates.fill_(True)
    occupancy.dynamic_weight[occupancy.trained] = 1
    occupancy.refresh()
    return model


def along_x(model, frame):
    """Largest remembered weight of each slab of cells."""
    n = model.occupancy.config.resolution
    return model.occupancy.dynamic_weight[frame].view(n, n, n).float().amax((1, 2))


OUT_OF_SIGHT = [9.0, 0, 0]


@pytest.mark.parametrize(("held_out", "beside", "forward"), [(5, 4, True), (0, 1, False)])
def test_untrained_slices_are_where_flow_leads(scene_folder, tmp_path, tiny_config, held_out, beside, forward):
    trainer = Trainer(read_scene(scene_folder, 36), tmp_path, tiny_config(hold_out=(held_out,)))
    flow = [0.25, 0, 0]
    model = model_with_flow(trainer, *((flow, OUT_OF_SIGHT) if forward else (OUT_OF_SIGHT, flow)))
    carry_occupancy(model)
    there = along_x(model, held_out)
    model.occupancy.dynamic_weight.zero_()
    trainer.sweep(torch.Generator().manual_seed(0))
    here = along_x(model, beside)
    n = model.occupancy.config.resolution
    moved = round(0.25 * n)
    inside = slice(moved, n - 1)
    torch.testing.assert_close(there[inside], here[: n - 1 - moved], atol=0.2, rtol=0.5)
    assert there.max() > 0
    assert there[:moved].max() == 0
    assert along_x(model, held_out).max() == 0  # training itself leaves them alone


def test_a_loaded_run_is_ready_for_untrained_times(scene_folder, tmp_path, tiny_config):
    run = tmp_path / "run"
    train(scene_folder, run, tiny_config(hold_out=(2,), first_sweep=100))
    assert along_x(load_run(run), 2).max() > 0


@pytest.mark.parametrize("held_out", [(0, 1), (2, 3), (4, 5)])
def test_gaps_of_several_frames_fill_from_their_ends(scene_folder, tmp_path, tiny_config, held_out):
    trainer = Trainer(read_scene(scene_folder, 36), tmp_path, tiny_config(hold_out=held_out))
    model = model_with_flow(trainer, [0.0, 0, 0], [0.0, 0, 0])
    carry_occupancy(model)
    for frame in held_out:
        assert along_x(model, frame).max() > 0


def test_carrying_twice_changes_nothing(scene_folder, tmp_path, tiny_config):
    trainer = Trainer(read_scene(scene_folder, 36), tmp_path, tiny_config(hold_out=(2,)))
    model = model_with_flow(trainer, [0.05, 0, 0], [-0.05, 0, 0])
    carry_occupancy(model)
    once = model.occupancy.dynamic_bits.clone()
    carry_occupancy(model)
    assert torch.equal(model.occupancy.dynamic_bits, once)
