"""Every benchmark, at the size of a stamp, through the form of its outcome. The figures mean nothing here."""

import dataclasses
import importlib
import json
import math
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from saff_fast import config, files
from saff_fast.scene.synthetic import SyntheticScene
from tests.stand_ins import put_in_place

FOLDER = Path(__file__).resolve().parent.parent.parent / "benchmarks"
PRESET = """
[train]
height = 36
steps = 30
rays = 64
moving_rays = 16
first_sweep = 4
sweep_every = 4
sweep_rays = 100

[field.static]
log2_table_size = 10
n_levels = 4

[field.dynamic]
log2_table_size = 10
n_levels = 4

[occupancy]
resolution = 16
n_steps = 16
"""
PUBLISHED = """
objective = "published"

[train]
rays = 64
moving_rays = 0

[field]
kind = "reference"

[field.reference]
width = 16
n_samples = 8
"""
ROWS = {  # of the contract
    "ops": ["hash_encode_4d.forward", "hash_encode_4d.forward_backward", "mlp.forward_backward", "composite_64"],
    "roofline": ["hash_encode_4d.gather_fraction"],
    "train_step": ["train_step"],
    "samples_per_ray": ["samples_per_ray"],
    "render_fps": ["render_16x8.rgb", "render_16x8.all"],
    "scaling": ["scaling.rays.32", "scaling.frames.4"],
    "kmeans": ["kmeans_elbow"],
    "time_to_quality": ["time_to_quality.1"],
    "viewer": ["first_picture", "drag.rgb"],
    "segmentation": ["cluster", "recluster", "segment", "crf"],
}
SMALL = {  # module: what is set in it
    "harness": {"_SHORTEST_MS": 0.0},
    "workload": {"N_SAMPLES_QUICK": 512},
    "scenes": {"HEIGHT": 36, "WIDTH": 64, "N_FRAMES": 6, "STEPS_BEFORE": 4},
    "train_step": {"STEPS_BEFORE": 6, "OUR_SIZES": (32, 64), "REFERENCE_SIZES": (4, 8), "STEPS": 1},
    "samples_per_ray": {"STEPS": 6, "QUICK_RAYS": 64},
    "render_fps": {"SIZES": ((8, 16),), "STRIP": 16},
    "viewer": {"SECONDS": 0.5, "CANVAS": (32, 18)},
    "segmentation": {"ROWS": 36},
    "kmeans": {"N_POINTS_QUICK": 2048},
    "time_to_quality": {"SECONDS_QUICK": (1.0,), "VIEWS": 2},
    "scaling": {"SWEEPS": {"rays": (32, 0, 64), "frames": (4, 0, 8), "log2_table_size": (8,)}},
}


@pytest.fixture
def benchmark(monkeypatch, tmp_path):
    """Imports a benchmark by name, everything in it made small."""
    presets = tmp_path / "presets"
    presets.mkdir()
    (presets / "cpu-preview.toml").write_text(PRESET)
    (presets / "published.toml").write_text(PUBLISHED)
    monkeypatch.setattr(config, "preset_folder", lambda: presets)
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)

    def load(name):
        module = importlib.import_module(name)
        for part, values in SMALL.items():
            if part in sys.modules:
                for key, value in values.items():
                    monkeypatch.setattr(sys.modules[part], key, value)
        if "scenes" in sys.modules:
            monkeypatch.setattr(sys.modules["scenes"], "CACHE", tmp_path)
        if name == "scaling":
            base = dataclasses.replace(module.BASE, rays=32, steps=16, frames=4, log2_table_size=8, semantic_channels=4)
            monkeypatch.setattr(module, "BASE", base)
        return module

    yield load
    for name in set(sys.modules) - before:
        if str(FOLDER) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_keeps_the_contract(benchmark, name, tmp_path, monkeypatch, capsys):
    path = tmp_path / "out.json"
    monkeypatch.setattr(sys, "argv", [f"benchmarks/{name}.py", "--quick", "--json", str(path)])
    benchmark(name).main()
    document = json.loads(path.read_text())
    assert {"device", "commit", "command", "rows"} <= document.keys()
    assert f"benchmarks/{name}.py --quick" in document["command"]
    names = [row["name"] for row in document["rows"]]
    assert len(set(names)) == len(names), "a name stands for one row"
    assert set(ROWS[name]) <= set(names)
    for row in document["rows"]:
        assert {"name", "backend", "median_ms", "spread_ms", "ratio", "reference", "unit"} <= row.keys()
        numbers = [row["median_ms"], row["ratio"], *row["figures"].values()]
        assert all(math.isfinite(number) for number in numbers)
        assert row["median_ms"] > 0
        assert row["ratio"] > 0
    assert names[0] in capsys.readouterr().out


def test_best_size_is_the_one_with_most_units_a_second(benchmark, monkeypatch):
    harness = benchmark("harness")
    clock = iter([0.0, 1.0, 1.0, 1.5, 1.5, 5.5])  # 4 in a second, 8 in half, 16 in four
    monkeypatch.setattr(harness.time, "perf_counter", lambda: next(clock))
    assert harness.best_size([4, 8, 16], lambda size: None) == 8


def test_ratio_is_by_the_unit_of_work(benchmark):
    harness = benchmark("harness")
    times = harness.Timing(2.0, 0.0), harness.Timing(3.0, 0.0)
    assert harness.row("a", "unit", times, "b", units=(4, 2)).ratio == 3  # 0.5 ms a unit against 1.5


def test_both_sides_run_in_turn(benchmark, monkeypatch):
    harness = benchmark("harness")
    calls = []
    harness.timings([lambda: calls.append("ours"), lambda: calls.append("theirs")], 3)
    assert calls == ["ours"] * 2 + ["theirs"] * 2 + ["ours", "theirs"] * 3


def test_peak_memory_is_what_was_held_at_once(benchmark):
    peak_mib = benchmark("memory").peak_mib
    assert peak_mib(lambda: None) < 1
    assert 35 < peak_mib(lambda: bytes(20 << 20) + bytes(20 << 20)) < 90
    assert peak_mib(lambda: bytearray(b"x") * (20 << 20)) < 30, "a peak before does not count"
    freed = [b"x" * (1 << 16) for _ in range(500)]
    last = b"x" * (1 << 16)  # above them on the heap, so that the allocator keeps what is freed below
    del freed
    assert peak_mib(lambda: [b"y" * (1 << 16) for _ in range(500)]) > 20, last[:0]


def test_report_has_tables_and_plots(benchmark, tmp_path):
    row = {"backend": "native", "median_ms": 1.5, "spread_ms": 0.1, "ratio": 1234.5, "reference": "b", "unit": "a ray"}
    rows = [row | {"name": f"scaling.rays.{size}", "figures": {"rays": size, "peak_mib": size / 2}} for size in (8, 16)]
    rows.append(row | {"name": "march", "figures": {}})
    document = {"device": "d", "commit": "c", "command": "python benchmarks/scaling.py", "rows": rows}
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "cpu.json").write_text(json.dumps(document | {"skipped": []}))
    (tmp_path / "results" / "other.json").write_text("{}")
    benchmark("report").write(tmp_path)
    text = (tmp_path / "REPORT.md").read_text()
    assert "| march | native | 1.5 | 0.1 | 1,234 | b | a ray |  |" in text
    assert "(results/cpu_rays.svg)" in text
    assert "other" not in text
    root = ElementTree.parse(tmp_path / "results" / "cpu_rays.svg").getroot()
    lines = [element.get("points") for element in root.iter("{http://www.w3.org/2000/svg}polyline")]
    (time, memory) = ([tuple(map(float, point.split(","))) for point in line.split()] for line in lines)
    assert time[0][1] == time[1][1]
    assert memory[0][0] < memory[1][0]
    assert memory[0][1] > memory[1][1], "more is higher"


def test_the_report_is_that_of_the_committed_results(benchmark, tmp_path):
    shutil.copytree(FOLDER / "results", tmp_path / "results")
    benchmark("report").write(tmp_path)
    assert (tmp_path / "REPORT.md").read_text() == (FOLDER / "REPORT.md").read_text()


def test_report_plots_quality_against_time(benchmark, tmp_path):
    row = {"backend": "native", "median_ms": 1.5, "spread_ms": 0.1, "ratio": 1.0, "reference": "b", "unit": "a run"}
    scores = {"input_psnr": 30.0, "reference_input_psnr": 20.0}
    rows = [
        row | {"name": f"time_to_quality.{seconds}", "figures": scores | {"seconds": seconds}} for seconds in (8, 16)
    ]
    document = {"device": "d", "commit": "c", "command": "python benchmarks/time_to_quality.py", "rows": rows}
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "curve.json").write_text(json.dumps(document))
    benchmark("report").write(tmp_path)
    assert "(results/curve.svg)" in (tmp_path / "REPORT.md").read_text()
    text = (tmp_path / "results" / "curve.svg").read_text()
    assert text.count("<polyline") == 2, "no novel views, no lines of them"
    assert ">input views, published networks<" in text


@pytest.fixture
def small_priors(benchmark, monkeypatch):
    """The benchmark of the priors on a stamp, with true cameras and the mean colour for a network."""
    priors = benchmark("priors")
    scene = SyntheticScene(36, 64, 4)
    put_in_place(monkeypatch.setattr, scene, [scene.render(k, k) for k in range(4)])
    return priors


def test_priors_against_truth(small_priors, tmp_path, monkeypatch, capsys):
    path = tmp_path / "out.json"
    monkeypatch.setattr(sys, "argv", ["benchmarks/priors.py", "--quick", "--json", str(path)])
    for name, value in (("HEIGHT", 36), ("WIDTH", 64), ("N_FRAMES", 4)):
        monkeypatch.setattr(small_priors, name, value)
    small_priors.main()
    document = json.loads(path.read_text())
    assert {"device", "commit", "command", "quick", "bars"} <= document.keys()
    figures = document["figures"]["synthetic 64x36"]
    assert all(math.isfinite(value) for value in figures.values())
    assert figures["pose.centres"] < 1e-6
    assert figures["flow.epe"] < 0.5
    assert figures["depth.static"] < 10
    assert figures["depth.sure"] < figures["depth.unsure"]
    assert figures["motion.iou"] <= figures["motion.recall"]
    for bars in document["bars"].values():
        assert bars.keys() <= figures.keys()
    assert "saliency.auc" in capsys.readouterr().out


def test_priors_of_a_real_scene(small_priors, tmp_path):
    scene = SyntheticScene(36, 64, 4)
    views = [scene.render(k, k) for k in range(4)]
    for frame, view in enumerate(views):
        files.write_image(tmp_path / "pictures" / f"{frame:05d}.png", view.rgb)
    small_priors.prepare(tmp_path / "pictures", tmp_path / "scene", 36, report=lambda line: None)
    files.write_image(tmp_path / "truth" / "00002.png", views[2].instances)
    for name in ("00000", "00002"):
        motion = views[2].motion.astype(np.uint8) * 255
        files.write_image(tmp_path / "scene" / "motion_masks" / f"{name}.png", motion)
    figures = small_priors.of_real(tmp_path / "scene", tmp_path / "truth")
    assert figures["motion.iou"] == figures["motion.recall"] == 1
    assert {"saliency.auc", "points.error", "points.sure", "points.unsure"} <= figures.keys()
    prepared = small_priors.PreparedFrames(tmp_path / "scene", 36)
    chosen = small_priors.held_out(len(prepared.reconstruction.points))
    assert 0 < len(small_priors.seen_points(prepared, 1, chosen)[1]) <= chosen.sum()  # those on movers are left out


def test_points_left_out_are_a_tenth_and_the_trusted_half_is_told_apart(benchmark):
    priors = benchmark("priors")
    assert priors.held_out(200).sum() == 20
    figures = priors.depth_figures("depth.static", np.array([1.0, 0.5, 1.01, 1.2]), np.array([0.8, 0.1, 0.9, 0.2]))
    assert figures == pytest.approx({"depth.static": 10.5, "depth.sure": 0.5, "depth.unsure": 35.0})


@pytest.mark.parametrize(
    ("values", "ticks"), [((3, 40), [5, 10, 20]), ((0.5, 2e4), [1, 10, 100, 1000, 1e4]), ((21.04, 35), [21, 35])]
)
def test_ticks(benchmark, values, ticks):
    axis = benchmark("svg")._Axis.around(values, 0, 100)
    assert axis.ticks() == pytest.approx(ticks)


def test_depth_of_movers_is_that_of_their_pixels(benchmark):
    depth = np.full((10, 10), 4.0)
    depth[:5, :5], depth[9, 9] = 2.0, np.inf
    shares = torch.zeros(10, 10)
    shares[:5, :5] = 0.9
    views = [SimpleNamespace(pose=0), SimpleNamespace(pose=7)]
    renders = SimpleNamespace(
        trained_inputs=lambda: views,
        depth=lambda view: depth,
        dynamic=lambda view: shares if view.pose == 0 else torch.zeros(10, 10),
    )
    found = benchmark("mover_depth").by_frame(renders)
    assert found["movers"] == {0: 2.0}
    assert found["nearest static"] == {0: 4.0, 7: 2.0}
    assert found["static"] == {0: 4.0, 7: 4.0}


def test_a_linear_axis_has_equal_steps(benchmark):
    svg = benchmark("svg")
    lines = [svg.Line("a", "#000", [(x, 1.0 + x) for x in range(11)])]
    root = ElementTree.fromstring(svg.plot("title", "frame", lines, linear_x=True))
    places = [float(node.attrib["cx"]) for node in root.iter("{http://www.w3.org/2000/svg}circle")]
    np.testing.assert_allclose(np.diff(places), np.diff(places)[0], atol=0.11)
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"0", "5", "10"} <= set(texts)
    assert "3" not in texts


def test_a_linear_axis_of_y_has_whole_ticks_around_its_values(benchmark):
    svg = benchmark("svg")
    lines = [svg.Line("a", "#000", [(1, 22.2), (2, 31.8)])]
    root = ElementTree.fromstring(svg.plot("title", "minutes", lines, linear_y=True))
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[2:8] == ["22", "24", "26", "28", "30", "32"]
    places = [float(node.attrib["cy"]) for node in root.iter("{http://www.w3.org/2000/svg}circle")]
    heights = [float(node.attrib["y1"]) for node in root.iter("{http://www.w3.org/2000/svg}line")]
    per_unit = (heights[0] - heights[-1]) / 10
    np.testing.assert_allclose(places, [heights[0] - 0.2 * per_unit, heights[0] - 9.8 * per_unit], atol=0.11)


@pytest.mark.slow
def test_the_other_run_marches_every_cell(benchmark, tmp_path, monkeypatch):
    path = tmp_path / "out.json"
    monkeypatch.setattr(sys, "argv", ["benchmarks/samples_per_ray.py", "--quick", "--json", str(path)])
    benchmark("samples_per_ray").main()
    figures = json.loads(path.read_text())["rows"][0]["figures"]
    assert figures["every_cell_samples_per_ray"] == 16  # the preset's steps
    assert figures["every_cell_dynamic_samples_per_ray"] == 16
    assert figures["samples_per_ray"] < 16


def test_labels_of_a_plot_neither_touch_nor_cover_points(benchmark):
    svg = benchmark("svg")
    rising = [(15.0 * 1.1**k, 20.0 + k) for k in range(20)]
    root = ElementTree.fromstring(svg.plot("title", "seconds", [svg.Line("a long label of a line", "#000", rising)]))
    texts = list(root.iter("{http://www.w3.org/2000/svg}text"))
    ticks = [(float(text.attrib["x"]), text.text) for text in texts if text.attrib["y"] == f"{svg.HEIGHT - 28:.1f}"]
    assert len(ticks) > 3
    assert all(b - a >= 3 * len(left + right) for (a, left), (b, right) in pairwise(ticks))
    assert float(ticks[-1][1]) == pytest.approx(rising[-1][0], rel=1e-3)
    (label,) = (text for text in texts if text.text == "a long label of a line")
    x, y = float(label.attrib["x"]), float(label.attrib["y"])
    begin, end = (x, x + 140) if label.attrib["text-anchor"] == "start" else (x - 140, x)
    circles = root.iter("{http://www.w3.org/2000/svg}circle")
    places = [(float(node.attrib["cx"]), float(node.attrib["cy"])) for node in circles]
    assert not any(begin < cx < end and y - 10 < cy < y for cx, cy in places)
