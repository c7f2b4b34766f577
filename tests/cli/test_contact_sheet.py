"""The contact sheet of a hand-made run."""

import numpy as np
import pytest
import torch

from saff_fast.cli.contact_sheet import chosen_views, write_contact_sheet
from saff_fast.files import read_image, save_json, save_npy, save_npz, write_image
from saff_fast.render.views import protocol_views
from saff_fast.segment.labels import write_labels
from saff_fast.segment.renders import read_renders

HEIGHT, WIDTH, N = 12, 20, 4


@pytest.fixture
def run(tmp_path):
    """A run of four frames whose every map has one value, with masks and without truth."""
    folder = tmp_path / "run"
    views = protocol_views(N)
    grey = np.full((HEIGHT, WIDTH), 128, np.uint8)
    for view in views:
        stem = folder / "render" / str(view.id)
        write_image(stem.with_name(f"{view.id}_rgb.png"), np.full((HEIGHT, WIDTH, 3), (10, 200, 30), np.uint8))
        for kind in ("blend", "sal", "opacity"):
            write_image(stem.with_name(f"{view.id}_{kind}.png"), grey)
        save_npy(stem.with_name(f"{view.id}_depth.npy"), np.linspace(1, 5, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH))
        torch.save(torch.randn(HEIGHT, WIDTH, 64).half(), stem.with_name(f"{view.id}_dino.pt"))
        if view.split == "input":
            save_npz(stem.with_name(f"{view.id}_flow.npz"), fwd=np.ones((HEIGHT, WIDTH, 2), np.float32))
        write_labels(folder / "segment" / "final", view.id, np.ones((HEIGHT, WIDTH), np.int64))
    listed = [{"id": v.id, "split": v.split, "pose": v.pose, "time": v.time} for v in views]
    facts = {"scene": str(tmp_path / "scene"), "height": HEIGHT, "width": WIDTH, "n_frames": N, "held_out": []}
    save_json(folder / "render" / "views.json", facts | {"views": listed})
    return folder


def test_every_split_is_shown(run):
    views = chosen_views(read_renders(run))
    assert {view.split for view in views} == {"input", "fix_cam0", "fix_time0"}
    assert len({view.id for view in views}) == len(views)


def test_a_row_a_map_and_a_column_a_view(run, tmp_path):
    write_contact_sheet(run, tmp_path / "sheet.png")
    sheet = read_image(tmp_path / "sheet.png")
    n_views = len(chosen_views(read_renders(run)))
    row_height = round(240 * HEIGHT / WIDTH) + 4
    assert sheet.shape == (28 + 9 * row_height, 120 + n_views * 244, 3)
    render_row, truth_row = (28 + (row + 0.5) * row_height for row in (1, 8))
    assert sheet[int(render_row), 200].tolist() == [10, 200, 30]
    assert sheet[int(truth_row), 200].tolist() == [200, 200, 200], "what is missing is grey"
