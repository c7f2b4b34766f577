"""Speed of the compiled ops, and of what they stand for in plain torch, as one JSON document on stdout.

    python benchmarks/ops.py --n-samples 65536 --log2-table-size 15

Samples lie along rays through the unit cube, 16 a ray, all of one ray at one time. Figures are millions of samples a
second: median, fastest and slowest of the repeats, which follow one warm-up.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from baselines import hash_grid
from torch import Tensor

from saff_fast.ops import HashGridLayout, flow_sample, hash_encode

N_FRAMES = 24
SAMPLES_PER_RAY = 16


def main() -> None:
    args = parse_arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    results = {}
    for n_dims in (3, 4):
        for name, function in encoding_cases(n_dims, args).items():
            results[name] = measure(function, args.n_samples, args.repeats, args.device)
            print(f"{name}: {results[name]}", file=sys.stderr)
    print(json.dumps(describe(args) | {"msamples_per_s": results}, indent=2))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-samples", type=int, default=65536)
    parser.add_argument("--n-levels", type=int, default=16)
    parser.add_argument("--log2-table-size", type=int, default=15)
    parser.add_argument("--finest-resolution", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, help="threads on the host; torch's own choice without")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def ray_samples(n_samples: int, device: str) -> Tensor:
    """Points `(n_samples, 4)`: consecutive samples of random rays, the last column the ray's time."""
    n_rays = -(-n_samples // SAMPLES_PER_RAY)
    generator = torch.Generator().manual_seed(0)
    near, far = torch.rand(2, n_rays, 1, 3, generator=generator)
    near[..., 2], far[..., 2] = 0, 1
    steps = (torch.arange(SAMPLES_PER_RAY) + torch.rand(n_rays, 1, generator=generator)) / SAMPLES_PER_RAY
    positions = near + (far - near) * steps[..., None]
    times = torch.randint(N_FRAMES, (n_rays, 1, 1), generator=generator) / (N_FRAMES - 1)
    return torch.cat([positions, times.expand(-1, SAMPLES_PER_RAY, 1)], 2).reshape(-1, 4)[:n_samples].to(device)


def encoding_cases(n_dims: int, args: argparse.Namespace) -> dict[str, Callable[[], object]]:
    """The passes to be timed, by name."""
    time_axis = (3, N_FRAMES) if n_dims == 4 else (None, None)
    sizes = args.n_levels, 2, args.log2_table_size, 16, args.finest_resolution
    layout = HashGridLayout.build(n_dims, *sizes, *time_axis)
    points = ray_samples(args.n_samples, args.device)
    positions = points[:, :n_dims].contiguous()
    flows = torch.randn(1, args.n_samples, 3, device=args.device) * 0.01
    table = torch.rand(layout.n_entries, 2, device=args.device) * 2e-4 - 1e-4
    upstream = torch.randn(args.n_samples, layout.n_outputs, device=args.device)

    def backward(encode: Callable[..., Tensor], moving: Tensor) -> Callable[[], None]:
        def run() -> None:
            inputs = [tensor.detach().requires_grad_() for tensor in (moving, table)]
            torch.autograd.grad(encode(*inputs), inputs, upstream)

        return run

    def displaced(flows: Tensor, table: Tensor) -> Tensor:
        return flow_sample(points[:, :3], flows, points[None, :, 3], table, layout).encodings[0]

    def in_torch(positions: Tensor, table: Tensor) -> Tensor:
        return hash_grid.hash_encode(positions, table, layout)

    def native(positions: Tensor, table: Tensor) -> Tensor:
        return hash_encode(positions, table, layout)

    def table_only() -> None:
        leaf = table.detach().requires_grad_()
        torch.autograd.grad(native(positions, leaf), leaf, upstream)

    few = positions[:256]
    torch.testing.assert_close(native(few, table), in_torch(few, table), rtol=1e-4, atol=1e-8)  # it must be the same op

    cases: dict[str, Callable[[], object]] = {
        f"hash_encode {n_dims}D forward": lambda: native(positions, table),
        f"hash_encode {n_dims}D forward, table gradient": table_only,
        f"hash_encode {n_dims}D forward, both gradients": backward(native, positions),
        f"torch baseline {n_dims}D forward": lambda: in_torch(positions, table),
        f"torch baseline {n_dims}D forward, both gradients": backward(in_torch, positions),
    }
    if n_dims == 4:
        cases["flow_sample forward"] = lambda: displaced(flows, table)
        cases["flow_sample forward, both gradients"] = backward(displaced, flows)
    return cases


def measure(function: Callable[[], object], n_samples: int, repeats: int, device: str) -> dict[str, float]:
    """Millions of samples a second."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    rates = [n_samples / second / 1e6 for second in seconds[1:]]
    picked = {"median": statistics.median(rates), "fastest": max(rates), "slowest": min(rates)}
    return {name: round(rate, 3) for name, rate in picked.items()}


def describe(args: argparse.Namespace) -> dict[str, object]:
    """What a reader needs to repeat the run."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    device = torch.cuda.get_device_name() if args.device != "cpu" else platform.processor() or platform.machine()
    return {
        "command": " ".join(["python", *sys.argv]),
        "commit": commit,
        "device": device,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "settings": vars(args),
    }


if __name__ == "__main__":
    main()
