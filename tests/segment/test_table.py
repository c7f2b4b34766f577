import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.files import read_json, read_labels, save_json, save_npy, write_image
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.pipeline import segment_run
from saff_fast.segment.renders import read_renders
from saff_fast.segment.table import as_text
from tests.segment.rendered_run import HEIGHT, MOVER_A, MOVER_B, N_FRAMES, STATIC_OBJECT, WIDTH, instances, write_run

FOCAL, DEPTHS = 20.0, {0: 8.0, MOVER_A: 2.0, MOVER_B: 4.0, STATIC_OBJECT: 3.0}


@pytest.fixture
def run(tmp_path):
    """The small run with depth and cameras: the camera moves half a unit to the right a frame."""
    render = tmp_path / "run" / "render"
    for view in write_run(tmp_path / "run", tmp_path / "scene", held_out=(3,)):
        depth = np.vectorize(DEPTHS.get)(instances(view["time"])).astype(np.float32)
        depth[instances(view["time"]) == MOVER_A] += np.linspace(0, 0.1, (depth == 2).sum())
        save_npy(render / f"{view['id']}_depth.npy", depth)
        write_image(render / f"{view['id']}_opacity.png", np.full((HEIGHT, WIDTH), 255, np.uint8))
    listing = read_json(render / "views.json")
    for view in listing["views"]:
        view["c2w"] = [[1, 0, 0, 0.5 * view["pose"]], [0, 1, 0, 0], [0, 0, 1, 0]]
        view["intrinsics"] = [FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2]
    save_json(render / "views.json", listing)
    return tmp_path / "run"


def of_instance(run, instance):
    """The object that most of an instance's pixels have."""
    labels = read_labels(run / "segment" / "final" / "labels" / "00001.png")
    label = int(np.median(labels[instances(1) == instance]))
    return next(entry for entry in read_json(run / "segment" / "objects.json") if entry["id"] == label)


def test_boxes_follow_the_object_through_the_world(run):
    segment_run(run, SegmentConfig())
    boxes = of_instance(run, MOVER_B)["boxes"]
    assert [box["time"] for box in boxes] == list(range(N_FRAMES))
    for time, box in enumerate(boxes):
        rows, columns = np.nonzero(instances(time) == MOVER_B)
        x = 4.0 * (columns + 0.5 - WIDTH / 2) / FOCAL + 0.5 * time
        y = 4.0 * (rows + 0.5 - HEIGHT / 2) / FOCAL
        for axis, places in enumerate((x, y)):
            # Within a pixel and a half of its 8: the middle 90 % leave out part of its first and last column.
            np.testing.assert_allclose(box["lower"][axis], places.min(), atol=0.31)
            np.testing.assert_allclose(box["upper"][axis], places.max(), atol=0.31)
        assert box["lower"][2] == box["upper"][2] == 4.0


def test_what_is_not_solid_or_of_something_else_at_the_rim_does_not_stretch_a_box(run):
    for view in range(N_FRAMES):
        path = run / "render" / f"{view}_depth.npy"
        depth, there = np.load(path), instances(view) == MOVER_B
        rows, columns = np.nonzero(there)
        depth[rows[0], columns[0]] = 100.0
        depth[rows[20:30], columns[20:30]] = 50.0
        save_npy(path, depth)
        opacity = np.full((HEIGHT, WIDTH), 255, np.uint8)
        opacity[rows[20:30], columns[20:30]] = 100
        write_image(run / "render" / f"{view}_opacity.png", opacity)
    segment_run(run, SegmentConfig())
    for box in of_instance(run, MOVER_B)["boxes"]:
        assert box["lower"][2] == box["upper"][2] == 4.0


def test_saliency_and_motion_are_means_over_the_trained_input_views(run):
    write_image(run / "render" / "3_sal.png", np.full((HEIGHT, WIDTH), 255, np.uint8))  # held out
    write_image(run / "render" / "1_motion.png", np.full((HEIGHT, WIDTH), 255, np.uint8))
    report = segment_run(run, SegmentConfig())
    entry = of_instance(run, MOVER_A)
    assert entry["frames"] == N_FRAMES
    assert entry["mean_saliency"] == pytest.approx(160 / 255, abs=0.02)
    areas = [(instances(time) == MOVER_A).sum() for time in range(3)]
    assert entry["mean_motion"] == pytest.approx((235 / 255 * (areas[0] + areas[2]) + areas[1]) / sum(areas), abs=0.01)
    assert f"{entry['mean_saliency']:8.2f}" in as_text(report.objects)


def test_without_cameras_there_are_no_boxes(tmp_path):
    write_run(tmp_path / "run", tmp_path / "scene")
    segment_run(tmp_path / "run", SegmentConfig())
    assert all("boxes" not in entry for entry in read_json(tmp_path / "run" / "segment" / "objects.json"))


def test_cameras_of_another_shape_are_refused(run):
    listing = read_json(run / "render" / "views.json")
    for view in listing["views"]:
        view["c2w"] = [[1, 0], [0, 1]]
    save_json(run / "render" / "views.json", listing)
    with pytest.raises(UserError, match=r"views\.json must list the views"):
        read_renders(run)
