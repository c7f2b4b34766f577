"""Seconds that segmentation takes at the published size, against what it may take.

    python benchmarks/segmentation.py --json segmentation.json [--run RUN]

RUN has been rendered, at 288 rows for the published size; without it the demo scene is trained for 300 steps and
rendered at that size. `cluster`: k-means over all pixels of the trained input views, the elbow search included.
`recluster`: as many clusters as asked for, and the objects that the views then vote for, from the same rendered files.
`segment`: all of `saff-fast segment`, every view's label maps included. `crf`: the dense CRF in every view, by
pydensecrf.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable

import harness
import scenes

from saff_fast.playback.settings import RenderSettings
from saff_fast.playback.views import render_run
from saff_fast.segment.clusters import Clusters, fit_clusters
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.objects import find_objects
from saff_fast.segment.pipeline import segment_run
from saff_fast.segment.postprocess import PostprocessConfig, postprocess_run
from saff_fast.segment.renders import Renders, read_renders

ROWS = 288
LIMITS = {"cluster": 60.0, "recluster": 5.0, "segment": 180.0, "crf": 60.0}
"""Seconds; of `segment` nothing was asked."""
REPEATS = 3


def main() -> None:
    parser = harness.parser(__doc__)
    scenes.add_run_options(parser)
    options = parser.parse_args()
    report = harness.Report(options)
    repeats = 1 if options.quick else REPEATS
    config = SegmentConfig()
    with scenes.trained_run(options) as run:
        if options.run is None:
            scale = ROWS / scenes.configuration(options).train.height
            render_run(run, settings=RenderSettings(scale=scale))
        renders = read_renders(run)
        n_pixels = renders.height * renders.width
        inputs = renders.trained_inputs()
        points = f"{len(inputs) * n_pixels} x {renders.semantics(inputs[0]).shape[-1]}"
        clusters = fit_clusters(renders, inputs, config)
        fewer = dataclasses.replace(config, n_clusters=len(clusters.centroids))
        pictures = f"{len(renders.views)} views of {renders.width}x{renders.height}"
        for name, unit, work in (
            ("cluster", f"{points}, k = 1 to {fewer.n_clusters}", lambda: fit_clusters(renders, inputs, config)),
            ("recluster", f"{points}, k = {fewer.n_clusters}", lambda: objects_of(renders, fewer)),
            ("segment", pictures, lambda: segment_run(run, config)),
            ("crf", pictures, lambda: postprocess_run(run, PostprocessConfig(use_crf=True, backend="pydensecrf"))),
        ):
            report.add(outcome(name, unit, work, repeats))
    report.finish()


def objects_of(renders: Renders, config: SegmentConfig) -> int:
    """Clusters and votes of the trained input views."""
    inputs = renders.trained_inputs()
    clusters: Clusters = fit_clusters(renders, inputs, config)
    labels = {view.id: clusters.nearest(renders, view) for view in inputs}
    return find_objects(renders, inputs, labels, clusters, config).n_objects


def outcome(name: str, unit: str, work: Callable[[], object], repeats: int) -> harness.Row:
    def once() -> float:
        began = time.perf_counter()
        work()
        return (time.perf_counter() - began) * 1e3

    values = [once() for _ in range(repeats)]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if repeats > 1 else values * 3
    limit = LIMITS[name] * 1e3
    timing = harness.Timing(middle, high - low)
    return harness.row(name, unit, (timing, harness.Timing(limit, 0.0)), f"at most {LIMITS[name]:g} s")


if __name__ == "__main__":
    main()
