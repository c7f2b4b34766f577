"""Exports as other programs read them."""

import json

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from saff_fast.capture.transforms import list_transforms
from saff_fast.cli.main import main
from saff_fast.files import read_image, read_json, read_labels, write_image
from saff_fast.playback.exports.masks import export_masks
from saff_fast.playback.exports.overlays import export_overlays, overlaid
from saff_fast.playback.exports.ply import VERTEX, write_ply
from saff_fast.playback.exports.surfaces import world_points
from saff_fast.playback.exports.tracks import follow
from saff_fast.playback.objects import ObjectModel
from saff_fast.playback.shot import shot_of
from saff_fast.playback.views import render_run
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.labels import palette
from saff_fast.segment.pipeline import segment_run
from saff_fast.segment.postprocess import PostprocessConfig, postprocess_run
from saff_fast.segment.renders import read_renders
from saff_fast.train.rendering import load_run
from tests.evaluate import scored_run
from tests.playback.exports.test_rle import decompress, filled
from tests.segment.rendered_run import MOVER_A, MOVER_B, instances, write_run


def read_ply(path):
    """Vertices of a binary PLY, by the properties that its header lists."""
    header, _, body = path.read_bytes().partition(b"end_header\n")
    lines = header.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    types = {"float": "<f4", "uchar": "u1", "int": "<i4"}
    fields = [(name, types[kind]) for _, kind, name in (line.split() for line in lines if line.startswith("property"))]
    count = next(int(line.split()[-1]) for line in lines if line.startswith("element vertex"))
    vertices = np.frombuffer(body, fields)
    assert len(vertices) == count
    return vertices


def test_ply_holds_every_column(tmp_path):
    points, flows = np.arange(6.0).reshape(2, 3), -np.arange(6.0).reshape(2, 3)
    write_ply(tmp_path / "p.ply", points, np.array([[1, 2, 3], [4, 5, 255]], np.uint8), np.array([7, 70000]), flows)
    vertices = read_ply(tmp_path / "p.ply")
    assert vertices.dtype == VERTEX
    assert vertices[1].tolist() == (3, 4, 5, 4, 5, 255, 70000, -3, -4, -5)


def test_points_are_where_the_camera_sees_them(model):
    shot = shot_of(model, 2, 2)
    depth = 1 + torch.rand(12, 16).numpy()
    points = torch.from_numpy(world_points(shot, depth)).reshape(-1, 3)
    pixels, z = shot.camera.project(torch.zeros(len(points), dtype=torch.int64), points)
    torch.testing.assert_close(pixels, shot.camera.pixel_grid(), rtol=0, atol=1e-4)
    torch.testing.assert_close(z, torch.from_numpy(depth).flatten(), rtol=0, atol=1e-5)


def test_masks_are_those_of_the_labels(tmp_path):
    write_run(tmp_path, tmp_path)
    segment_run(tmp_path, SegmentConfig())
    export_masks(tmp_path, tmp_path / "export")
    content = read_json(tmp_path / "export" / "masks.json")
    assert len(content["images"]) == 12
    drawn = {image["id"]: np.zeros((image["height"], image["width"]), int) for image in content["images"]}
    for entry in content["annotations"]:
        mask = filled(decompress(entry["segmentation"]["counts"]), *entry["segmentation"]["size"])
        assert entry["area"] == mask.sum()
        left, top, width, height = entry["bbox"]
        assert mask[top : top + height, left : left + width].sum() == mask.sum()
        drawn[entry["image_id"]][mask] = entry["category_id"]
    for view, labels in drawn.items():
        np.testing.assert_array_equal(labels, read_labels(tmp_path / f"segment/final/labels/{view:05d}.png"))
        np.testing.assert_array_equal(labels, read_labels(tmp_path / f"export/masks/{view}.png"))
    assert {category["id"] for category in content["categories"]} == set(np.unique(list(drawn.values()))) - {0}


def test_masks_follow_objects_edited_by_hand(tmp_path):
    write_run(tmp_path, tmp_path)
    segment_run(tmp_path, SegmentConfig())
    objects = ObjectModel.load(tmp_path)
    merged = torch.where(objects.object_of == 2, 1, objects.object_of)
    objects.edited(merged, names={1: "both"}).save(tmp_path)
    export_masks(tmp_path, tmp_path / "export")
    assert read_json(tmp_path / "export" / "masks.json")["categories"] == [{"id": 1, "name": "both"}]
    found = read_labels(tmp_path / "export" / "masks" / "0.png") > 0
    moving = np.isin(instances(0), (MOVER_A, MOVER_B))
    assert (found == moving).mean() > 0.97


def test_masks_and_overlays_are_the_postprocessed_ones_where_there_are_such(tmp_path):
    pytest.importorskip("av", reason="PyAV is not installed")
    views = write_run(tmp_path, tmp_path)
    for view in views:
        write_image(tmp_path / "render" / f"{view['id']}_rgb.png", np.full((24, 40, 3), 100, np.uint8))
    segment_run(tmp_path, SegmentConfig())
    postprocess_run(tmp_path, PostprocessConfig())
    for view in views:  # marked, so that it shows where they come from
        path = tmp_path / "postprocess" / "final" / "labels" / f"{view['id']:05d}.png"
        write_image(path, np.where(read_labels(path) == 1, 7, 0).astype(np.uint8))
    export_masks(tmp_path, tmp_path / "export")
    assert [entry["id"] for entry in read_json(tmp_path / "export" / "masks.json")["categories"]] == [7]


def test_overlays_show_frames_where_they_were_filmed_and_renders_elsewhere(tmp_path):
    pytest.importorskip("av", reason="PyAV is not installed")
    scene, run = tmp_path / "scene", tmp_path / "run"
    scored_run.write_scene(scene)
    scored_run.write_run(run, scene)
    for view in read_renders(run).views:
        write_image(run / "render" / f"{view.id}_rgb.png", np.full((24, 32, 3), 100, np.uint8))
    export_overlays(run, run / "export")
    overlays = run / "export" / "overlays"
    background = scored_run.labels(3) == 0
    np.testing.assert_array_equal(read_image(overlays / "3.png")[background], scored_run.picture(3)[background])
    assert (read_image(overlays / "17.png")[background] == 100).all()
    with Image.open(overlays / "input.gif") as video:
        assert video.n_frames == scored_run.N_FRAMES
    assert (overlays / "fix_time0.mp4").stat().st_size > 0


def test_an_object_is_half_its_colour_and_its_outline_all():
    labels = np.zeros((7, 9), np.uint8)
    labels[1:6, 1:5], labels[1:6, 5:8] = 1, 2
    colours = palette(3)
    drawn = overlaid(np.full((7, 9, 3), 50, np.uint8), labels)
    assert (drawn[labels == 0] == 50).all()
    np.testing.assert_array_equal(drawn[3, 2], np.round(25 + 0.5 * colours[1]))
    np.testing.assert_array_equal(drawn[3, 6], np.round(25 + 0.5 * colours[2]))
    for row, column in ((1, 2), (3, 1), (3, 4), (5, 3)):  # towards the background and towards the other object
        np.testing.assert_array_equal(drawn[row, column], colours[1])
    np.testing.assert_array_equal(drawn[3, 5], colours[2])


def test_still_points_stay_and_moving_ones_follow_the_flow(renderer):
    model = renderer.model
    with torch.no_grad():
        model.field.dynamic.mlp.weights[-1][5:11] = 0
        step = torch.tensor([0.01, 0, 0]) / model.field.dynamic.flow_scale
        model.field.dynamic.mlp.biases[-1][5:8], model.field.dynamic.mlp.biases[-1][8:11] = step, -step
    tracks = follow(renderer, shot_of(model, 1, 0).at(1.0))
    unit = torch.stack([model.space.to_unit(torch.from_numpy(points)) for points in tracks.points])
    moved = unit - unit[1]
    assert 0 < tracks.moving.sum() < len(tracks.moving)
    expected = torch.tensor([-0.01, 0, 0.01, 0.02])[:, None]
    torch.testing.assert_close(moved[:, tracks.moving, 0], expected.expand(-1, tracks.moving.sum()), rtol=0, atol=1e-4)
    assert moved[:, ~tracks.moving].abs().max() < 1e-4


@pytest.fixture(scope="module")
def exported(finished):
    """A run with everything exported that needs no objects."""
    render_run(finished)
    for kind in ("points", "depth", "cameras"):
        assert main(["export", str(finished), kind]) == 0
    return finished


def test_cameras_are_read_back(exported):
    cameras = load_run(exported).cameras
    listing = list_transforms(exported / "export" / "transforms.json")
    np.testing.assert_allclose(listing.cameras.c2w, cameras.c2w.numpy(), atol=1e-6)
    assert listing.cameras.lenses[0].fx == pytest.approx(float(cameras.intrinsics[0, 0]))
    assert (listing.cameras.height, listing.cameras.width) == (36, 64)


def test_depth_is_read_back(exported):
    step = json.loads((exported / "export" / "depth.json").read_text())["world_units_per_level"]
    levels = cv2.imread(str(exported / "export" / "depth" / "00003.png"), cv2.IMREAD_UNCHANGED)
    depth = np.load(exported / "render" / "3_depth.npy")
    shown = (levels > 0) & (levels < 65535)
    assert levels.dtype == np.uint16
    assert shown.mean() > 0.5
    np.testing.assert_allclose(levels[shown] * step, depth[shown], atol=0.51 * step)


def test_points_are_read_back(exported):
    vertices = read_ply(exported / "export" / "points" / "00002.ply")
    assert len(vertices) > 500
    assert np.isfinite(vertices["x"]).all()
    assert vertices["label"].max() == 0  # nothing is segmented


def test_tracks_leave_arrays_and_a_video(finished):
    pytest.importorskip("av", reason="PyAV is not installed")
    assert main(["export", str(finished), "tracks", "--time", "2"]) == 0
    tracks = np.load(finished / "export" / "tracks.npz")
    n = len(tracks["moving"])
    assert tracks["points"].shape == (6, n, 3)
    assert tracks["visible"].shape == (6, n)
    assert tracks["start"] == 2
    assert tracks["visible"][2].mean() > 0.9
    assert (finished / "export" / "tracks.mp4").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["masks"], "must be"),
        (["overlays"], "must be"),
        (["tracks", "--time", "6"], "--time must be in [0, 5]"),
        (["depth", "--scale", "0"], "--scale must be in (0, 100]"),
    ],
)
def test_bad_requests_end_in_a_sentence(finished, capsys, arguments, said):
    assert main(["export", str(finished), *arguments]) == 2
    assert said in capsys.readouterr().err
