import sys

import faiss
import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans as SklearnKMeans

from saff_fast.errors import UserError
from saff_fast.segment import kmeans as module
from saff_fast.segment.kmeans import KMeansConfig, assign, cluster_sums, kmeans

_NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
BACKENDS = ["faiss-cpu", "torch", pytest.param("faiss-gpu", marks=[pytest.mark.gpu, _NO_CUDA])]
CPU_BACKENDS = ["faiss-cpu", "torch"]


def blobs(n_blobs=5, n_each=200, d=8, spread=0.1):
    centres = 4 * torch.eye(d)[:n_blobs]
    return (centres[:, None] + spread * torch.randn(n_blobs, n_each, d)).flatten(0, 1), centres


@pytest.mark.parametrize("backend", BACKENDS)
def test_finds_separated_blobs(backend):
    points, centres = blobs()
    result = kmeans(points, 5, KMeansConfig(backend=backend))
    distances = torch.cdist(result.centroids, centres).min(dim=0).values
    assert distances.max() < 0.05


@pytest.mark.parametrize("backend", BACKENDS)
def test_objective_matches_scikit_learn(backend):
    points = torch.randn(600, 6)
    expected = SklearnKMeans(7, n_init=20, random_state=0).fit(points.numpy()).inertia_ / len(points)
    config = KMeansConfig(backend=backend, n_init=10, n_iter=300, tolerance=0.0, max_points_per_centroid=None)
    # Both are local searches: the better of many starts agrees to a per cent.
    assert kmeans(points, 7, config).objective == pytest.approx(expected, rel=0.01)


def test_exact_lloyd_ends_at_means_of_its_clusters():
    points, _ = blobs(spread=1.0)
    config = KMeansConfig(backend="torch", n_iter=300, tolerance=0.0, max_points_per_centroid=None)
    centroids = kmeans(points, 4, config).centroids
    labels, _ = assign(points, centroids)
    means = torch.stack([points[labels == label].mean(dim=0) for label in range(4)])
    torch.testing.assert_close(centroids, means, atol=1e-5, rtol=1e-5)


def test_published_starts_and_points_are_those_that_faiss_draws():
    points = torch.randn(2000, 6)
    config = KMeansConfig(
        backend="faiss-cpu", starts="random", n_init=10, n_iter=300, tolerance=0.0, max_points_per_centroid=256
    )
    published = faiss.Kmeans(6, 4, niter=300, nredo=10, seed=1234)
    published.train(points.numpy())
    np.testing.assert_array_equal(kmeans(points, 4, config).centroids.numpy(), published.centroids)


@pytest.mark.parametrize(("starts", "lowest", "highest"), [("random", 0, 5), ("k-means++", 20, 20)])
def test_random_starts_do_not_look_for_what_is_far(monkeypatch, starts, lowest, highest):
    points, seen = torch.cat([torch.randn(198, 4), 1000 + torch.randn(2, 4)]), []
    monkeypatch.setattr(module, "_torch_lloyd", lambda training, starts, config: seen.append(starts) or starts)
    kmeans(points, 2, KMeansConfig(backend="torch", starts=starts, n_init=20))
    assert all(any(torch.equal(start, point) for point in points) for starts in seen for start in starts)
    assert lowest <= sum(bool((starts > 500).any()) for starts in seen) <= highest


@pytest.mark.parametrize("backend", BACKENDS)
def test_objective_covers_points_that_were_not_iterated_on(backend):
    points, _ = blobs()
    config = KMeansConfig(backend=backend, max_points_per_centroid=3)
    result = kmeans(points, 2, config)
    expected = torch.cdist(points, result.centroids).min(dim=1).values.square().mean()
    assert result.objective == pytest.approx(float(expected), rel=1e-5)


def test_assign_matches_all_pairs_across_chunks(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 7)
    points, centroids = torch.randn(50, 4, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)
    labels, distances = assign(points, centroids)
    expected = torch.cdist(points, centroids).square().min(dim=1)
    assert torch.equal(labels, expected.indices)
    torch.testing.assert_close(distances, expected.values)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_repeats_bit_for_bit_with_any_number_of_threads(backend):
    points = torch.randn(5000, 64)
    before = torch.get_num_threads()
    results = []
    try:
        for n_threads in (1, 2, 1):
            torch.set_num_threads(n_threads)
            results.append(kmeans(points, 9, KMeansConfig(backend=backend, n_iter=20)))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert torch.equal(results[0].centroids, other.centroids)
        assert results[0].objective == other.objective


@pytest.mark.parametrize("backend", BACKENDS)
def test_equal_points_and_as_many_clusters_as_points(backend):
    assert kmeans(torch.ones(10, 3), 4, KMeansConfig(backend=backend)).objective < 1e-10
    assert kmeans(torch.randn(5, 3), 5, KMeansConfig(backend=backend, n_iter=100)).objective < 1e-10


def test_refuses_what_it_cannot_cluster():
    points = torch.randn(5, 3)
    with pytest.raises(ValueError, match=r"k must be in \[1, 5\], the number of points, got 6"):
        kmeans(points, 6, KMeansConfig())
    points[2, 1] = torch.nan
    with pytest.raises(ValueError, match="points must be finite"):
        kmeans(points, 2, KMeansConfig())


def test_a_backend_that_cannot_run_says_why(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UserError, match="kmeans backend 'faiss-cpu' cannot run on cpu: faiss"):
        kmeans(torch.randn(5, 3), 2, KMeansConfig(backend="faiss-cpu"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_backends_agree_on_separable_points(dtype):
    points = blobs(spread=0.3)[0].to(dtype)
    results = [kmeans(points, 5, KMeansConfig(backend=backend, n_iter=100, tolerance=0.0)) for backend in CPU_BACKENDS]
    labels = [assign(points, result.centroids)[0] for result in results]
    assert torch.equal(*labels)  # equal starts, so even the numbering agrees
    torch.testing.assert_close(results[0].centroids, results[1].centroids, rtol=1e-5, atol=1e-5)
    assert results[0].objective == pytest.approx(results[1].objective, rel=1e-6)


def test_every_device_finds_the_same(device):
    points, _ = blobs(spread=0.3)
    config = KMeansConfig(backend="torch")
    here, there = kmeans(points, 5, config), kmeans(points.to(device), 5, config)
    assert there.centroids.device.type == device.type
    torch.testing.assert_close(there.centroids.cpu(), here.centroids, rtol=1e-5, atol=1e-5)


def test_chunks_change_nothing(monkeypatch):
    points = torch.randn(500, 6)
    config = KMeansConfig(backend="torch", tolerance=0.0)
    whole = kmeans(points, 7, config)
    monkeypatch.setattr(module, "_CHUNK", 13)
    pieces = kmeans(points, 7, config)
    torch.testing.assert_close(pieces.centroids, whole.centroids, rtol=1e-6, atol=1e-6)
    assert pieces.objective == pytest.approx(whole.objective, rel=1e-6)


def test_cluster_sums(monkeypatch, device):
    monkeypatch.setattr(module, "_CHUNK", 4)
    points, labels = torch.randn(10, 3, device=device), torch.tensor([0, 2, 2, 0, 4, 4, 4, 0, 2, 0], device=device)
    counts, sums = cluster_sums(points, labels, 5)
    assert counts.tolist() == [4, 0, 3, 0, 3]
    for k in range(5):
        torch.testing.assert_close(sums[k], points[labels == k].double().sum(0))


def test_starts_are_the_best_of_two_drawn_in_proportion_to_squared_distance():
    points = torch.tensor([[0.0], [1.0], [3.0]])
    counts = {1.0: 0, 3.0: 0}
    generator = torch.Generator().manual_seed(0)
    for _ in range(2000):
        first, second = module._plus_plus(points, 2, generator)[:, 0].tolist()
        if first == 0:
            counts[second] += 1
    # 3 leaves less than 1 does, so 1 is taken only where it is drawn twice, at 0.1 each.
    assert counts[3.0] / sum(counts.values()) == pytest.approx(0.99, abs=0.01)
    assert counts[1.0] > 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_grows_from_fewer_clusters(backend):
    points, centres = blobs(n_blobs=6, spread=0.1)
    config = KMeansConfig(backend=backend, n_init=1)
    few = centres[:5].clone()
    grown = kmeans(points, 6, config, grown_from=few)
    # Five stay where they were, in their order; the sixth finds what was left out.
    torch.testing.assert_close(grown.centroids, centres, atol=0.05, rtol=0)


def test_random_starts_do_not_grow():
    points = torch.randn(200, 4)
    config = KMeansConfig(backend="torch", starts="random")
    grown = kmeans(points, 5, config, grown_from=100 + torch.randn(4, 4))
    torch.testing.assert_close(grown.centroids, kmeans(points, 5, config).centroids, atol=0, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_tolerance_saves_iterations_at_little_loss(backend):
    points = torch.randn(2000, 6)
    exact, loose, none = (
        kmeans(points, 7, KMeansConfig(backend=backend, n_init=1, n_iter=300, tolerance=t)).objective
        for t in (0.0, 1e-3, 0.9)
    )
    assert exact < loose < none
    assert loose < 1.05 * exact
    with pytest.raises(ValueError, match="tolerance must not be negative"):
        KMeansConfig(tolerance=-0.1)


@pytest.mark.parametrize("name", ["n_init", "n_iter", "max_points_per_centroid"])
def test_config_checks_its_ranges(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        KMeansConfig(**{name: 0})


def test_empty_clusters_restart(monkeypatch):
    points, _ = blobs()
    monkeypatch.setattr(module, "_plus_plus", lambda points, k, *_: points[:1].repeat(k, 1))
    result = kmeans(points, 5, KMeansConfig(backend="torch", n_init=1))
    assert len(assign(points, result.centroids)[0].unique()) == 5
