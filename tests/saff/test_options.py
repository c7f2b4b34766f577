"""Published configuration files: their syntax, and that every option is mapped or has a reason why not."""

import pytest

from saff_fast.config import override
from saff_fast.errors import UserError
from saff_fast.saff.config_file import read_entries
from saff_fast.saff.options import OPTIONS, PUBLISHED, read_saff_config
from saff_fast.train.config import ExperimentConfig

CHECKLIST = {  # every option of run_nerf.py with its default
    "config expname ft_path load_algo n_cluster cluster_dir load_feat_weight load_sal_weight": None,
    "basedir": "./logs/",
    "datadir": "./data/llff/fern",
    "final_height": 288,
    "netdepth netdepth_fine": 8,
    "netwidth netwidth_fine": 256,
    "N_rand": 4096,
    "lrate": 5e-4,
    "lrate_decay": 300,
    "chunk netchunk": 131072,
    "testskip llffhold factor": 8,
    "N_samples n_components": 64,
    "N_importance i_embed start_frame": 0,
    "perturb dino_weight": 1.0,
    "raw_noise_std dino_coe sal_coe flow_weight render_factor": 0.0,
    "multires target_idx": 10,
    "multires_views stride dino_batch": 4,
    "dataset_type": "llff",
    "end_frame decay_iteration": 50,
    "num_extra_sample": 512,
    "w_depth": 0.04,
    "w_optical_flow": 0.02,
    "w_sm w_sf_reg w_cycle w_prob_reg": 0.1,
    "w_entropy": 1e-3,
    "i_print i_img": 1000,
    "i_weights": 10000,
    "model_type": "dino_vits8",
    "layer": 11,
    "facet": "key",
    "load_size load_dino_size": 128,
    "load_dino_dir": "",
    "no_batching no_reload use_viewdirs white_bkgd lindisp no_ndc spherify use_motion_mask decay_depth_w depth_full "
    "decay_optical_flow_w chain_sf bin shallow_dino use_tanh prep_dino use_multi_dino use_multi_dino_single_sal "
    "decay_extra disable_rigid render_test no_merge use_pos use_time use_pcd render_mode render_pcd render_bt "
    "render_lockcam_slowmo render_slowmo_bt render_slowmo_full render_pcd_color render_pcd_cluster cluster_pcd "
    "cluster_2D extract_2D cluster_2D_flow render_2D render_pcd_cluster_3D cluster_finch render_sal_3D": False,
}
COMMON = """
expname = experiment_balloon1-2_2_multi
basedir = ./logs
datadir = ../../data/nvidia_data_full/Balloon1-2/dense
dataset_type = llff

factor = 2
llffhold = 10
N_rand = 1024
N_samples = 128
N_importance = 0
netwidth = 256
use_viewdirs = True
raw_noise_std = 1e0
no_ndc = False
lindisp = False
no_batching = True
spherify = False
decay_depth_w = True
decay_optical_flow_w = True
use_motion_mask = False
num_extra_sample = 512
chain_sf = True
w_depth = 0.04
w_optical_flow = 0.02
w_sm = 0.1
w_sf_reg = 0.1
w_cycle = 1.0
start_frame = 0
end_frame = 30
decay_iteration = 30
dino_coe = 0.04
sal_coe = 0.04
depth_full = False
shallow_dino = True
use_tanh = True
prep_dino = True
use_multi_dino = True
"""


@pytest.fixture
def write(tmp_path):
    def call(text):
        path = tmp_path / "config_mine_4.txt"
        path.write_text(text)
        return path

    return call


def test_every_option_is_mapped_or_has_a_reason():
    expected = {name: default for names, default in CHECKLIST.items() for name in names.split()}
    assert {name: option.default for name, option in OPTIONS.items()} == expected
    for name, option in OPTIONS.items():
        for kind in ("hash", "reference"):
            value = 1 if option.default is None else option.default
            assert bool(option.assignments(value, kind)) != bool(option.reason) or name == "N_rand", name
    assert OPTIONS["N_rand"].reason
    assert OPTIONS["N_rand"].assignments(100, "reference") == ["train.rays=100", "train.moving_rays=25"]
    assert OPTIONS["N_rand"].assignments(100, "hash") == []


LOSSES = {
    "noise_std=1.0",
    "w_depth=0.04",
    "decay_depth=true",
    "depth_full=false",
    "w_optical_flow=0.02",
    "decay_optical_flow=true",
    "w_sm=0.1",
    "w_sf_reg=0.1",
    "w_cycle=1.0",
    "w_prob_reg=0.1",
    "w_entropy=0.001",
    "chain_sf=true",
    "dino_coe=0.04",
    "sal_coe=0.04",
    "decay_extra=false",
}
NETWORKS = {
    "depth=8",
    "width=256",
    "learning_rate=0.0005",
    "n_samples=128",
    "n_bands=10",
    "n_bands_views=4",
    "deep_semantics=false",
    "tanh=true",
    "static_part=true",
}


@pytest.mark.parametrize(
    ("kind", "rays"), [("hash", set()), ("reference", {"train.rays=1024", "train.moving_rays=256"})]
)
def test_the_common_configuration(write, kind, rays):
    translation = read_saff_config(write(COMMON), kind)
    expected = {"objective=published", "train.height=288"} | rays
    expected |= {f"published.{text}" for text in LOSSES} | {f"field.reference.{text}" for text in NETWORKS}
    assert set(translation.assignments) == expected
    assert len(translation.assignments) == len(expected)
    assert str(translation.datadir) == "../../data/nvidia_data_full/Balloon1-2/dense"
    keys = [line.split(" ")[0] for line in translation.lines]
    assert {entry.key for entry in read_entries(write(COMMON))} < set(keys)
    assert len(keys) == len(set(keys))
    text = str(translation)
    assert "w_cycle = 1.0 -> published.w_cycle=1.0" in text
    assert "llffhold = 10 -> no effect: none in SAFF either; see --hold-out" in text
    assert "w_prob_reg = 0.1 (SAFF's default) -> published.w_prob_reg=0.1" in text


def test_networks_and_batches_resolve(write):
    text = COMMON.replace("shallow_dino = True\n", "").replace("use_tanh = True", "disable_rigid = True")
    told = read_saff_config(write(text), "reference").about("field", "train")
    config = override(ExperimentConfig(), ["field.kind=reference", *told])
    reference = config.field.reference
    assert (reference.n_samples, reference.deep_semantics, reference.tanh, reference.static_part) == (
        128,
        True,
        False,
        False,
    )
    assert (config.train.height, config.train.rays, config.train.moving_rays) == (288, 1024, 256)


@pytest.mark.parametrize("kind", ["hash", "reference"])
def test_everything_resolves(write, kind):
    translation = read_saff_config(write(COMMON), kind)
    config = override(ExperimentConfig(), [f"field.kind={kind}", *translation.assignments])
    assert config.objective == PUBLISHED
    assert getattr(config, PUBLISHED).w_cycle == 1.0


SYNTAX = {
    "key = value": ("a = 1", ("1",)),
    "no spaces": ("a=1", ("1",)),
    "colon": ("a: 1", ("1",)),
    "space": ("a 1", ("1",)),
    "flag": ("a", ("true",)),
    "flag with a comment": ("a  # why", ("true",)),
    "flag with a trailing space": ("a ", ("true",)),
    "dashes": ("--a = 1", ("1",)),
    "comment behind": ("a = 1  # one", ("1",)),
    "no comment without a space": ("a = x#1", ("x#1",)),
    "quotes": ("a = 'x y'", ("x y",)),
    "words": ("a = 1 2 3", ("1 2 3",)),
    "list": ("a = [0.3333, 0.3333,0.3334]", ("0.3333", "0.3333", "0.3334")),
    "list of words": ("a = [x, 'y']", ("x", "y")),
    "nothing": ("a =", ()),
    "path": ("a = ../../data/x-2/dense", ("../../data/x-2/dense",)),
}


@pytest.mark.parametrize(("line", "values"), SYNTAX.values(), ids=SYNTAX.keys())
def test_syntax(write, line, values):
    (entry,) = read_entries(write(f"# first\n; second\n---\n[section]\n\n  {line}\n"))
    assert (entry.line, entry.key, entry.values) == (6, "a", values)


WRONG = {
    "unknown key": ("w_cycel = 1", "line 2: w_cycel is no option of SAFF"),
    "case": ("n_rand = 1", "n_rand is no option"),
    "whole number": ("N_rand = 10.5", "line 2: N_rand must be a whole number, got '10.5'"),
    "number": ("w_cycle = big", "line 2: w_cycle must be a number, got 'big'"),
    "flag": ("use_tanh = maybe", "use_tanh must be True or False, got 'maybe'"),
    "no number": ("w_cycle", "w_cycle must be a number, got 'true'"),
    "nothing": ("N_rand =", "N_rand must be a whole number, got ''"),
    "two numbers": ("load_feat_weight = [0.5, 0.5]", "load_feat_weight must be three numbers, got '0.5 0.5'"),
    "twice": ("netdepth: 8", "netdepth stands in line 1 already"),
    "no key": ("= 3", "must be key = value, got '= 3'"),
}


@pytest.mark.parametrize(("line", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named_with_file_and_line(write, line, message):
    path = write(f"netdepth = 8\n{line}\n")
    with pytest.raises(UserError) as caught:
        read_saff_config(path, "hash")
    assert f"{path}, line 2" in str(caught.value)
    assert message in str(caught.value)


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_saff_config(tmp_path / "absent.txt", "hash")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(UserError, match="not a text file"):
        read_saff_config(tmp_path / "binary.txt", "hash")


@pytest.mark.parametrize("value", ["True", "true", "yes", "1"])
def test_flags(write, value):
    assert "field.reference.tanh=true" in read_saff_config(write(f"use_tanh = {value}"), "hash").assignments
    assert "field.reference.tanh=false" in read_saff_config(write("use_tanh = False"), "hash").assignments
