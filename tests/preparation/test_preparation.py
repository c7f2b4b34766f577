import json
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest

from saff_fast import frame_priors, preparation
from saff_fast.capture.selection import Selection
from saff_fast.errors import UserError
from saff_fast.files import read_image, read_labels, write_image
from saff_fast.preparation import Execution, prepare, prepare_synthetic
from saff_fast.priors.networks.choice import Networks
from saff_fast.priors.record import RECORD
from saff_fast.scene import writer
from saff_fast.scene.llff import opencv_poses
from saff_fast.scene.reader import read_scene
from saff_fast.scene.synthetic import write_synthetic_truth
from tests.preparation.conftest import HEIGHT, N_FRAMES, WIDTH
from tests.stand_ins import FlatBackbone, put_in_place

ALL = ("cameras", "images", "flow", "motion", "depth", "semantics", "saliency")


@pytest.fixture(autouse=True)
def _no_networks(monkeypatch, synthetic, views):
    put_in_place(monkeypatch.setattr, synthetic, views)


def snapshot(folder):
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.*") if p.is_file() and p.name != RECORD}


def test_prepare_writes_a_scene_and_then_does_nothing(tmp_path, source, views):
    lines = []
    report = prepare(source, tmp_path / "scene", height=HEIGHT, report=lines.append)
    assert report.stages == ALL
    assert report.n_frames == N_FRAMES
    scene = read_scene(tmp_path / "scene", HEIGHT)
    np.testing.assert_array_equal(scene.images[2], views[2].rgb)
    assert scene.semantics.shape[:3] == (N_FRAMES, HEIGHT, WIDTH)
    static = ~views[1].motion & (scene.depth_confidences[1].numpy() > 0.5)
    ratio = scene.disparities[1].numpy()[static] * views[1].depth[static]
    assert static.mean() > 0.5
    assert abs(np.median(ratio) - 1) < 0.02

    before = snapshot(tmp_path / "scene")
    lines.clear()
    assert prepare(source, tmp_path / "scene", height=HEIGHT, report=lines.append).stages == ()
    assert lines == [f"{tmp_path / 'scene'} is up to date: nothing to do."]
    assert snapshot(tmp_path / "scene") == before


def test_only_what_changed_is_computed_again(tmp_path, source):
    folder = tmp_path / "scene"
    prepare(source, folder, height=HEIGHT)
    assert prepare(source, folder, height=18).stages == ALL[1:]
    assert [p.name for p in folder.glob("images_*")] == ["images_32x18"]
    (folder / "semantics" / "00001.npz").unlink()
    assert prepare(source, folder, height=18).stages == ("semantics",)
    write_image(source / "shot 0.png", read_image(source / "shot 0.png")[:, ::-1])
    assert prepare(source, folder, height=18).stages == ALL


def test_an_interrupted_stage_is_done_again(tmp_path, source, monkeypatch):
    folder = tmp_path / "scene"

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(frame_priors, "densify", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare(source, folder, height=HEIGHT)
    assert prepare(source, folder, height=HEIGHT).stages == ("depth", "semantics", "saliency")


def test_an_interrupted_stage_goes_on_where_it_stopped(tmp_path, source, monkeypatch):
    folder, done = tmp_path / "scene", []

    def stop_at_the_third(*arguments):
        done.append(1)
        if len(done) == 3:
            raise KeyboardInterrupt
        return densify(*arguments)

    densify = frame_priors.densify
    with monkeypatch.context() as patched:
        patched.setattr(frame_priors, "densify", stop_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            prepare(source, folder, height=HEIGHT)
    before = snapshot(folder / "disp_first")
    assert len(before) == 2
    seen = []
    prepare(source, folder, height=HEIGHT, execution=Execution(on_progress=seen.append))
    after = snapshot(folder / "disp_first")
    assert len(after) == len(snapshot(folder / "disp")) == N_FRAMES
    assert {path: after[path] for path in before} == before
    told = [(p.done, p.total, p.kept) for p in seen if p.stage == "depth"][1:]
    assert told == [(done, 8, 2) for done in (3, 4, 5, 6, 7, 8)]


def test_other_weights_leave_geometry_alone(tmp_path, source, monkeypatch):
    prepare(source, tmp_path / "scene", height=HEIGHT)
    (tmp_path / "dino.pth").write_bytes(b"weights")
    ran = prepare(source, tmp_path / "scene", height=HEIGHT, networks=Networks(weights=tmp_path / "dino.pth")).stages
    assert ran == ("semantics",)  # the network of this test gives the same, so saliency stays too


def test_redo_runs_a_step_again(tmp_path, source):
    prepare(source, tmp_path / "scene", height=HEIGHT)
    again = Execution(redo=("flow", "saliency"))
    assert prepare(source, tmp_path / "scene", height=HEIGHT, execution=again).stages == ("flow", "saliency")


def test_a_networks_own_saliency_is_taken(tmp_path, source, monkeypatch):
    class Attentive(FlatBackbone):
        def __call__(self, frame, image, box):
            features, _ = super().__call__(frame, image, box)
            return features, np.full(features.shape[:2], 0.25, np.float32)

    prepare(source, tmp_path / "scene", height=HEIGHT)
    assert (tmp_path / "scene" / "saliency").exists()
    monkeypatch.setattr(preparation, "choose_backbone", lambda name, weights, parity: Attentive())
    again = Execution(redo=("semantics",))
    assert prepare(source, tmp_path / "scene", height=HEIGHT, execution=again).stages == ("semantics", "saliency")
    saliencies = read_scene(tmp_path / "scene", HEIGHT).saliencies
    np.testing.assert_array_equal(saliencies, np.full_like(saliencies, 0.25))


def test_a_full_disk_leaves_a_folder_that_goes_on(tmp_path, source):
    prepare(source, tmp_path / "whole", height=HEIGHT)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            prepare(source, tmp_path / "scene", height=HEIGHT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert Path(caught.value.filename).parent == tmp_path / "scene" / "flow_i1"
    assert prepare(source, tmp_path / "scene", height=HEIGHT).stages == ALL[2:]
    assert contents(tmp_path / "scene") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(tmp_path, source, monkeypatch):
    monkeypatch.setattr(preparation, "MIN_PIXELS_TO_SPREAD", 0)
    for n_workers in (1, 3):
        prepare(source, tmp_path / str(n_workers), height=HEIGHT, execution=Execution(n_workers=n_workers))
    assert contents(tmp_path / "1") == contents(tmp_path / "3")


def test_a_folder_with_other_things_is_left_alone(tmp_path, source):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "images").mkdir()
    (folder / "images" / "holiday.png").write_bytes(b"dear to me")
    before = snapshot(folder)
    with pytest.raises(UserError, match="mine must be new, empty or an earlier scene"):
        prepare(source, folder)
    assert snapshot(folder) == before


def test_an_unreadable_picture_leaves_no_folder_behind(tmp_path, source):
    (source / "shot 2.png").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"shot 2\.png"):
        prepare(source, tmp_path / "scene", height=HEIGHT)
    assert not (tmp_path / "scene").exists()


def test_the_scene_of_other_pictures_is_left_alone(tmp_path, source):
    folder = tmp_path / "scene"
    prepare(source, folder, height=HEIGHT)
    before = snapshot(folder)
    shutil.copytree(source, tmp_path / "others")
    write_image(tmp_path / "others" / "shot 0.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    with pytest.raises(UserError, match="holds the scene of"):
        prepare(tmp_path / "others", folder)
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"height": 8}, "--height must be between 16 and 4320"),
        ({"networks": Networks(weights=Path("none.pth"))}, "--weights must be a file"),
        ({"networks": Networks(flow_weights=Path("none.pth"))}, "--flow-weights must be a file"),
        ({"networks": Networks(depth_weights=Path("none.pth"))}, "--depth-weights must be a file"),
        ({"networks": Networks(parity=True)}, "--parity needs the weights of DINO ViT-S/8, but none were found; put "),
        ({"networks": Networks("dinov2_vits14", parity=True)}, "--parity needs the published network, dino_vits8"),
        ({"masks": Path("none")}, "--masks must be a folder"),
    ],
)
def test_bad_options_are_named(tmp_path, source, options, message):
    with pytest.raises(UserError, match=message):
        prepare(source, tmp_path / "scene", **options)
    assert not (tmp_path / "scene").exists()


def test_synthetic_scene_is_what_prepare_would_compute(tmp_path, views):
    prepare_synthetic(tmp_path / "scene", HEIGHT, WIDTH, N_FRAMES)
    scene = read_scene(tmp_path / "scene", HEIGHT)
    assert len(scene) == N_FRAMES
    assert scene.semantics.shape == (N_FRAMES, HEIGHT, WIDTH, 64)
    moving, still = scene.motion_masks[1][views[1].motion], scene.motion_masks[1][~views[1].motion]
    assert moving.mean() > 4 * still.mean()
    salient = scene.saliencies[1].float()
    assert salient[views[1].motion].mean() > 2 * salient[~views[1].motion].mean()
    assert (tmp_path / "scene" / "truth" / "depth" / "00000.npy").exists()


def test_a_published_scene_keeps_its_priors_and_gets_the_missing_ones(tmp_path, synthetic, views):
    published = tmp_path / "published"
    write_synthetic_truth(published, synthetic)
    (published / "cameras.json").unlink()
    for i, view in enumerate(views):
        writer.write_disparity(published, f"{i:05d}", 1 / view.depth)
        for direction, other in (("fwd", i + 1), ("bwd", i - 1)):
            if 0 <= other < N_FRAMES:
                motion = synthetic.flow(view, other, other)
                writer.write_flow(published, f"{i:05d}", direction, motion.flow, ~motion.occlusion)
    lines = []
    prepare(published, tmp_path / "scene", height=HEIGHT, report=lines.append)
    assert [line.split(": ")[-1] for line in lines if line.startswith("kept from ")] == ["flow_i1", "disp"]
    for kept in ("poses_bounds.npy", "disp/00001.npy", "images/00002.png"):
        np.testing.assert_array_equal(*(_content(folder / kept) for folder in (published, tmp_path / "scene")))
    scene, before = read_scene(tmp_path / "scene", HEIGHT), read_scene(published, HEIGHT)
    np.testing.assert_array_equal(scene.cameras.intrinsics, before.cameras.intrinsics)
    np.testing.assert_array_equal(scene.flows_fw, before.flows_fw)
    assert scene.motion_masks.any()
    assert scene.semantics.shape[-1] > 0
    assert prepare(published, tmp_path / "scene", height=HEIGHT).stages == ()
    np.save(published / "disp" / "00001.npy", np.ones((HEIGHT, WIDTH), np.float32))
    assert prepare(published, tmp_path / "scene", height=HEIGHT).stages == ("depth",)


def _content(path):
    return np.load(path) if path.suffix == ".npy" else read_image(path)


def test_given_cameras_are_kept(tmp_path, source, views):
    """No structure from motion: the world, its unit and the lens are those of the file."""
    flip, focal = (
        np.diag([1.0, -1, -1, 1]),
        {"fl_x": 2 * 40.0, "fl_y": 2 * 40.0, "cx": float(WIDTH), "cy": float(HEIGHT)},
    )
    poses = [np.vstack([v.c2w, [0, 0, 0, 1]]) for v in views]
    frames = [
        {"file_path": f"photos/shot {i}.png", "transform_matrix": (pose @ flip).tolist()}
        for i, pose in enumerate(poses)
    ]
    (tmp_path / "transforms.json").write_text(json.dumps(focal | {"w": 2 * WIDTH, "h": 2 * HEIGHT, "frames": frames}))
    prepare(tmp_path / "transforms.json", tmp_path / "scene", height=HEIGHT)
    rows = np.load(tmp_path / "scene" / "poses_bounds.npy")
    np.testing.assert_allclose(opencv_poses(rows), np.stack(poses)[:, :3], atol=1e-12)
    camera = json.loads((tmp_path / "scene" / "cameras.json").read_text())
    assert camera["intrinsics"] == pytest.approx([40, 40, WIDTH / 2, HEIGHT / 2])


def test_masks_of_the_user_count(tmp_path, source):
    """They take the place of what was found in their frames, at first sight and at last."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, :10] = 255
    write_image(tmp_path / "masks" / "shot 2.png", mask)
    prepare(source, tmp_path / "scene", height=HEIGHT)
    first = snapshot(tmp_path / "scene" / "motion_first")
    report = prepare(source, tmp_path / "scene", height=HEIGHT, masks=tmp_path / "masks")
    assert report.stages == ("motion", "depth", "saliency")
    after = snapshot(tmp_path / "scene" / "motion_first")
    assert [path.name for path in after if after[path][1] != first[path][1]] == ["00002.png"]
    for part in ("motion_first", "motion_masks"):
        np.testing.assert_array_equal(read_labels(tmp_path / "scene" / part / "00002.png"), mask)


def test_a_range_is_part_of_what_a_scene_is(tmp_path, source):
    scene = tmp_path / "scene"
    assert prepare(source, scene, height=HEIGHT, selection=Selection(end=4)).n_frames == 4
    assert prepare(source, scene, height=HEIGHT, selection=Selection(end=4)).stages == ()
