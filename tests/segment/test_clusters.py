import pytest
import torch
import torch.nn.functional as F

from saff_fast.files import save_json
from saff_fast.segment import clusters as module
from saff_fast.segment.clusters import fit_clusters
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.elbow import elbow
from saff_fast.segment.renders import read_renders

WIDTH = 101


def write_edge(run):
    """One row a view: a short background vector that turns into a long object vector, mixed over 11 pixels."""
    share = ((torch.arange(WIDTH) - 45) / 10).clamp(0, 1)[:, None]
    background, thing = torch.eye(8)[0] * 0.3, torch.eye(8)[1]
    views = []
    for view in range(4):
        row = (1 - share) * background + share * thing + 0.01 * torch.randn(WIDTH, 8)
        (run / "render").mkdir(parents=True, exist_ok=True)
        torch.save(row[None].half(), run / "render" / f"{view}_dino.pt")
        views.append({"id": view, "split": "input", "pose": view, "time": view})
    content = {"scene": "none", "height": 1, "width": WIDTH, "n_frames": 4, "held_out": [], "views": views}
    save_json(run / "render" / "views.json", content)


@pytest.mark.parametrize(("n_refits", "lowest", "highest"), [(0, 46, 49), (3, 49, 52)])
def test_edge_lies_at_equal_shares_after_refitting_only(tmp_path, n_refits, lowest, highest):
    write_edge(tmp_path)
    renders = read_renders(tmp_path)
    config = SegmentConfig(sample_interval=1, n_refits=n_refits, k_max=2)
    clusters = fit_clusters(renders, renders.trained_inputs(), config)
    labels = clusters.nearest(renders, renders.views[0])[0]
    changes = torch.nonzero(labels[1:] != labels[:-1])[:, 0] + 1
    assert len(changes) == 1
    assert lowest <= int(changes[0]) <= highest
    assert clusters.unit == (n_refits == 0)


def test_chosen_clusters_only(tmp_path):
    write_edge(tmp_path)
    renders = read_renders(tmp_path)
    clusters = fit_clusters(renders, renders.trained_inputs(), SegmentConfig(sample_interval=1, k_max=2))
    only = torch.tensor([1])
    assert (clusters.nearest(renders, renders.views[0], only) == 1).all()


def test_sample_does_not_depend_on_the_run_of_the_generator(tmp_path):
    write_edge(tmp_path)
    renders = read_renders(tmp_path)
    results = []
    for _ in range(2):
        torch.rand(7)
        results.append(fit_clusters(renders, renders.trained_inputs(), SegmentConfig(sample_interval=3)).prototypes)
    assert torch.equal(*results)


def test_all_pixels_are_clustered_unless_there_are_too_many(tmp_path, monkeypatch):
    write_edge(tmp_path)
    renders = read_renders(tmp_path)
    views = renders.trained_inputs()
    n_pixels = renders.height * renders.width
    taken = []
    monkeypatch.setattr(
        module, "elbow", lambda units, *args, **options: taken.append(len(units)) or elbow(units, *args, **options)
    )
    fit_clusters(renders, views, SegmentConfig())
    monkeypatch.setattr(module, "_MOST_POINTS", 10 * len(views))
    fit_clusters(renders, views, SegmentConfig())
    assert taken == [n_pixels * len(views), 10 * len(views)]


def test_as_many_clusters_as_asked(tmp_path):
    write_edge(tmp_path)
    renders = read_renders(tmp_path)
    clusters = fit_clusters(renders, renders.trained_inputs(), SegmentConfig(sample_interval=1, n_clusters=5))
    assert len(clusters.prototypes) == 5
    assert len(clusters.objectives) == 1


def test_every_third_pixel_of_all_views_in_a_row_is_the_published_sample(tmp_path, monkeypatch):
    write_edge(tmp_path)
    renders = read_renders(tmp_path)
    views = renders.trained_inputs()
    taken = []
    monkeypatch.setattr(
        module, "elbow", lambda units, *args, **options: taken.append(units) or elbow(units, *args, **options)
    )
    fit_clusters(renders, views, SegmentConfig(sample="every", sample_interval=3))
    everything = torch.cat([renders.semantics(view).flatten(0, 1).float() for view in views])
    torch.testing.assert_close(taken[0], F.normalize(everything[::3], dim=1))
