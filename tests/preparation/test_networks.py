"""`prepare` with networks, whose weights are drawn at random or whose answers are made from the truth."""

import json

import numpy as np
import pytest
import torch

from saff_fast import preparation
from saff_fast.cli.main import main
from saff_fast.files import read_npz
from saff_fast.preparation import Execution, prepare
from saff_fast.priors import pyramid
from saff_fast.priors.networks import depth_anything, raft
from saff_fast.priors.networks.choice import Networks
from saff_fast.priors.networks.depth_anything import DepthAnything
from saff_fast.priors.networks.vit import DINO
from saff_fast.priors.torchvision_shim import make_torchvision_importable
from saff_fast.scene.reader import read_scene
from tests.preparation.conftest import HEIGHT, WIDTH
from tests.stand_ins import put_in_place

pytest.importorskip("torchvision" if make_torchvision_importable() is None else "")
pytest.importorskip("timm")


@pytest.fixture(autouse=True)
def choose_backbone(monkeypatch, synthetic, views):
    """The true choice of a network for features; what stands in for it, and small pictures, are in place."""
    chosen = preparation.choose_backbone
    put_in_place(monkeypatch.setattr, synthetic, views)
    monkeypatch.setattr(raft, "_N_UPDATES", 2)
    monkeypatch.setattr(depth_anything, "_SHORT_SIDE", 70)
    return chosen


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    import timm
    from torchvision.models.optical_flow import raft_large

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    depth = DepthAnything().state_dict()
    depth["depth_head.scratch.output_conv2.2.bias"] += 1
    torch.save(raft_large().state_dict(), folder / "raft.pth")
    torch.save(depth, folder / "depth.pth")
    torch.save(timm.create_model(DINO, pretrained=False, num_classes=0).state_dict(), folder / "dino.pth")
    return folder


def made_by(scene):
    stages = json.loads((scene / "prepare.json").read_text())["stages"]
    return {name: entry["made_by"] for name, entry in stages.items()}


def test_networks_take_the_place_of_methods_without(tmp_path, source, weights):
    scene = tmp_path / "scene"
    prepare(source, scene, height=HEIGHT)
    assert made_by(scene)["flow"] == "DIS optical flow"
    networks = Networks(flow_weights=weights / "raft.pth", depth_weights=weights / "depth.pth")
    ran = prepare(source, scene, height=HEIGHT, networks=networks).stages
    assert ran[:2] == ("flow", "depth")
    assert made_by(scene)["flow"] == "RAFT"
    assert made_by(scene)["depth"] == "Depth Anything V2 small, on the scale of matched points"
    read = read_scene(scene, HEIGHT)
    assert bool(torch.isfinite(read.disparities).all())
    assert read.disparities.min() > 0
    assert prepare(source, scene, height=HEIGHT, networks=networks).stages == ()
    again = torch.load(weights / "raft.pth", weights_only=True)
    again["update_block.flow_head.conv2.bias"] += 1
    torch.save(again, tmp_path / "raft.pth")
    other = Networks(flow_weights=tmp_path / "raft.pth", depth_weights=weights / "depth.pth")
    assert "flow" in prepare(source, scene, height=HEIGHT, networks=other).stages
    without = Networks(flow_weights=tmp_path / "raft.pth")
    assert prepare(source, scene, height=HEIGHT, networks=without).stages == ("depth",)


def test_an_interrupted_network_goes_on_where_it_stopped(tmp_path, source, weights, monkeypatch):
    scene, done = tmp_path / "scene", []
    networks = Networks(depth_weights=weights / "depth.pth")
    write = preparation.frame_priors.write_network_depth

    def stop_at_the_third(*arguments, **options):
        done.append(1)
        if len(done) == 3:
            raise KeyboardInterrupt
        write(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(preparation.frame_priors, "write_network_depth", stop_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            prepare(source, scene, height=HEIGHT, networks=networks)
    seen = []
    prepare(source, scene, height=HEIGHT, networks=networks, execution=Execution(on_progress=seen.append))
    told = [(p.done, p.total, p.kept) for p in seen if p.stage == "depth"][1:]
    assert told == [(done, 8, 2) for done in (3, 4, 5, 6, 7, 8)]


class TrueDepth:
    """The scene's inverse depth with a scale and shift of its own."""

    name = "truth"

    def __init__(self, views):
        self.views = views

    def __call__(self, image):
        view = next(view for view in self.views if np.array_equal(view.rgb, image))
        return (5 / view.depth + 2).astype(np.float32)


def test_depth_of_a_network_is_in_the_unit_of_the_reconstruction(tmp_path, source, views, weights, monkeypatch):
    monkeypatch.setattr(preparation, "DepthNetwork", lambda path: TrueDepth(views))
    prepare(source, tmp_path / "scene", height=HEIGHT, networks=Networks(depth_weights=weights / "depth.pth"))
    for frame, view in enumerate(views):
        disparity = np.load(tmp_path / "scene" / "disp" / f"{frame:05d}.npy")
        confidence = np.load(tmp_path / "scene" / "confidence" / f"{frame:05d}.npy")
        assert abs(np.median(disparity * view.depth) - 1) < 0.02
        assert view.motion.any()
        assert abs(np.median((disparity * view.depth)[view.motion]) - 1) < 0.05
        assert np.median(confidence) > 0.8
        if frame == 0:  # later, movers hide points that the stand-in for matching says are seen
            assert np.median(confidence[view.motion]) > 0.8


def test_parity_features_have_the_pictures_size_and_the_networks_saliency(
    tmp_path, source, weights, monkeypatch, choose_backbone
):
    monkeypatch.setattr(preparation, "choose_backbone", choose_backbone)
    monkeypatch.setattr(pyramid, "LOAD_SIZE", 32)
    monkeypatch.setattr(pyramid, "LOAD_REFERENCE", 72)
    scene = tmp_path / "scene"
    prepare(source, scene, height=HEIGHT, networks=Networks(weights=weights / "dino.pth"))
    plain = read_npz(scene / "semantics" / "00001.npz", "feature", "saliency")
    assert made_by(scene)["semantics"] == "DINO ViT-S/8"
    parity = Networks("dino_vits8", weights / "dino.pth", parity=True)
    assert "semantics" in prepare(source, scene, height=HEIGHT, networks=parity).stages
    assert made_by(scene)["semantics"] == "DINO ViT-S/8, as published"
    found = read_npz(scene / "semantics" / "00001.npz", "feature", "saliency")
    assert found["feature"].shape == (HEIGHT, WIDTH, 64)
    assert found["saliency"].shape == (HEIGHT, WIDTH)
    assert found["feature"].dtype == found["saliency"].dtype == np.float16
    assert not np.array_equal(found["feature"], plain["feature"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--parity"], "--parity needs the weights of DINO ViT-S/8, but none were found; put dino_deitsmall8_pretrain"),
        (["--features", "dinov3_vits16"], "--features dinov3_vits16 needs the weights of vit_small_patch16_dinov3."),
        (["--features", "nobody"], "--features must name a vision transformer of timm, like"),
        (["--flow-weights", "none.pth"], "--flow-weights must be a file of weights, but there is no file none.pth."),
        (["--depth-weights", "none.pth"], "--depth-weights must be a file of weights, but there is no file none.pth."),
    ],
)
def test_what_is_missing_is_said(tmp_path, source, capsys, options, message):
    assert main(["prepare", str(source), str(tmp_path / "scene"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "scene").exists()


def test_weights_of_another_network_stop_the_step_that_reads_them(tmp_path, source, weights, capsys):
    command = ["prepare", str(source), str(tmp_path / "scene"), "--height", "36", "--flow-weights"]
    assert main([*command, str(weights / "depth.pth")]) == 2
    assert "depth.pth must hold the weights of RAFT, but" in capsys.readouterr().err
    assert main([*command, str(weights / "raft.pth")]) == 0
