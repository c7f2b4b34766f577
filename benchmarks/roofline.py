"""How near each op comes to what the machine can do: bytes and operations counted, ceilings measured on the spot.

    python benchmarks/roofline.py --json roofline.json

The reference of a row is the op's ceiling, so the ratio is the fraction reached: the time of its random reads alone
(`gather`), or else of its bytes at the speed of a copy or of its operations at that of a matrix product, whichever is
longer. Random reads are 8 bytes from the same tables, as many as encoding takes and level by level
(`cuda_ext/ops/random_gather.h`). Samples along a ray share cells, so that ceiling can be passed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import ceilings
import harness
import torch
import workload
from harness import DEVICE, Timing
from ops import N_CHANNELS, preset_widths
from sides import gradients
from workload import N_STEPS, OCCUPANCY, SAMPLES_PER_RAY, grid, ray_samples, straight_rays

from saff_fast import ops
from saff_fast.ops.reference import packed_info
from saff_fast.types import PackedSamples


@dataclass(frozen=True, kw_only=True)
class Counted:
    """An op and what it cannot do without."""

    name: str
    run: Callable[[], object]
    n_reads: float = 0
    """Random reads of 8 bytes."""
    n_bytes: float
    """Read or written once, if caches hold all that is used twice."""
    n_operations: float
    """Multiplications and additions."""


def main() -> None:
    options = harness.parser(__doc__).parse_args()
    report = harness.Report(options)
    n_samples = workload.n_samples(options)
    layout, table = grid(4)
    n_reads = n_samples * layout.n_levels * 2**layout.n_dims
    target, source = ceilings.copied()
    left, right = ceilings.factors()
    limits = (
        lambda: ceilings.random_gather(n_samples, table, layout),
        lambda: target.copy_(source),
        lambda: left @ right,
    )
    counted = [*grid_ops(n_samples, n_reads), *ray_ops(n_samples), *mlp_ops(n_samples)]
    gather, copy, product, *times = harness.timings([*limits, *(op.run for op in counted)], report.repeats)
    rates = {
        "gather": n_reads / gather.median_ms,
        "copy": 2 * ceilings.COPIED / copy.median_ms,
        "product": 2 * ceilings.GEMM**3 / product.median_ms,
    }
    for op, timing in zip(counted, times, strict=True):
        report.add(fraction(op, timing, rates))
    report.finish()


def fraction(op: Counted, timing: Timing, rates: dict[str, float]) -> harness.Row:
    """The op against its ceiling; `rates` are a millisecond's."""
    limits = {"gather": op.n_reads / rates["gather"]}
    if not op.n_reads:
        limits = {"copy": op.n_bytes / rates["copy"], "product": op.n_operations / rates["product"]}
    ceiling = max(limits, key=lambda name: limits[name])
    figures = {"mreads": op.n_reads / 1e6, "mb": op.n_bytes / 1e6, "mflop": op.n_operations / 1e6}
    figures |= {"ceiling_greads_per_s": rates["gather"] / 1e6, "ceiling_gb_per_s": rates["copy"] / 1e6}
    figures |= {"ceiling_gflop_per_s": rates["product"] / 1e6}
    times = timing, Timing(limits[ceiling], 0.0)
    return harness.row(f"{op.name}.{ceiling}_fraction", "a call", times, f"{ceiling} ceiling", figures=figures)


def grid_ops(n_samples: int, n_reads: int) -> Iterator[Counted]:
    layout, table = grid(4)
    positions = ray_samples(n_samples)
    flows = torch.zeros(n_samples, 3, device=DEVICE)
    n_corners = 2**layout.n_dims
    # A corner takes one product for its weight, and two for its share of each feature.
    cost = {"n_reads": n_reads, "n_operations": n_samples * layout.n_levels * n_corners * (1 + 2 * layout.n_features)}
    n_bytes = 4 * (n_samples * (layout.n_dims + layout.n_outputs) + table.numel())
    yield Counted(name="hash_encode_4d", run=lambda: ops.hash_encode(positions, table, layout), n_bytes=n_bytes, **cost)
    points = positions[:, :3].contiguous(), flows[None], positions[None, :, 3].contiguous()
    yield Counted(
        name="flow_sample",
        run=lambda: ops.flow_sample(*points, table, layout),
        n_bytes=n_bytes + 4 * n_samples * 7,  # flows, displaced points, validity
        **cost,
    )


def ray_ops(n_samples: int) -> Iterator[Counted]:
    n_rays = n_samples // SAMPLES_PER_RAY
    info = packed_info([SAMPLES_PER_RAY] * n_rays, DEVICE)
    channels = torch.randn(n_samples, N_CHANNELS, device=DEVICE)
    static, dynamic, blends, deltas = torch.rand(4, n_samples, device=DEVICE)
    fields = ops.Emission(static, (channels,)), ops.Emission(dynamic, (channels,))
    everywhere = torch.arange(n_samples, device=DEVICE)
    samples = PackedSamples(info, everywhere, deltas, deltas, info, everywhere)
    yield Counted(
        name=f"composite_joint_{N_CHANNELS}",
        run=lambda: ops.composite_joint(*fields, blends, deltas, deltas, samples),
        n_bytes=4 * n_samples * (2 * N_CHANNELS + 5) + 8 * n_samples + n_rays * (32 + 8 * (2 + N_CHANNELS)),
        n_operations=n_samples * (12 + 2 * 2 * (2 + N_CHANNELS)),
    )
    yield Counted(
        name=f"accumulate_{N_CHANNELS}",
        run=lambda: ops.accumulate(blends, channels, info),
        n_bytes=4 * (n_samples + n_rays) * N_CHANNELS + 4 * n_samples + 16 * n_rays,
        n_operations=2 * n_samples * N_CHANNELS,
    )
    origins, directions = straight_rays(n_rays)
    full = torch.ones(1, OCCUPANCY, OCCUPANCY, OCCUPANCY, dtype=torch.bool, device=DEVICE)
    occupancy = ops.pack_occupancy(full[0], full)
    frames = torch.zeros(n_rays, dtype=torch.long, device=DEVICE)
    yield Counted(
        name="march",
        run=lambda: ops.march(origins, directions, frames, occupancy, N_STEPS),
        n_bytes=n_rays * (32 + 32) + n_rays * N_STEPS * (8 + 4 + 4 + 8) + 2 * occupancy.dynamic_bits.numel(),
        n_operations=n_rays * N_STEPS * 6,
    )


def mlp_ops(n_samples: int) -> Iterator[Counted]:
    widths = preset_widths("cpu-preview")["static"]
    inputs = torch.randn(n_samples, widths[0], device=DEVICE)
    matrices = [torch.randn(b, a, device=DEVICE) for a, b in pairwise(widths)]
    biases = [torch.randn(n, device=DEVICE) for n in widths[1:]]
    n_products = sum(matrix.numel() for matrix in matrices) * n_samples
    n_values = n_samples * (widths[0] + widths[-1])
    n = len(matrices)
    yield Counted(
        name="mlp.forward",
        run=lambda: ops.mlp(inputs, matrices, biases),
        n_bytes=4 * n_values,
        n_operations=2 * n_products,
    )
    everything = (inputs, *matrices, *biases)
    upstream = torch.randn(n_samples, widths[-1], device=DEVICE)
    both = gradients(lambda x, *rest: ops.mlp(x, rest[:n], rest[n:]), everything, range(len(everything)), upstream)
    yield Counted(name="mlp.forward_backward", run=both, n_bytes=8 * n_values, n_operations=6 * n_products)


if __name__ == "__main__":
    main()
