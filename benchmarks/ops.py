"""Every compiled op against its plain-torch baseline in `baselines/`, and against tiny-cuda-nn and nerfacc on CUDA.

    python benchmarks/ops.py --json ops.json

Samples lie along rays through the unit cube, 16 a ray, all of one ray at one time. Before they are timed, both sides
are checked to give the same values.
"""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import harness
import torch
import workload
from baselines import compositing, directional, flow_sample, hash_grid, march, mlp
from harness import DEVICE, Case
from peers import nerfacc_cases, tcnn_cases, usable
from sides import Sides, gradients
from torch import Tensor
from workload import N_FRAMES, N_STEPS, OCCUPANCY, SAMPLES_PER_RAY, grid, ray_samples, straight_rays

from saff_fast import ops
from saff_fast.backends import BackendConfig
from saff_fast.config import load_config, preset_names
from saff_fast.fields.scene_field import FieldConfig, SceneField
from saff_fast.ops.reference import packed_info
from saff_fast.train.config import ExperimentConfig
from saff_fast.types import PackedSamples

N_CHANNELS = 64
COUNT_DECILES = [4, 6, 7, 7, 10, 13, 14, 16, 18, 21, 36]
"""Samples of a ray, the least to the most: the demo scene after 300 steps of cpu-preview."""


def main() -> None:
    options = harness.parser(__doc__).parse_args()
    report = harness.Report(options)
    n_samples = workload.n_samples(options)
    for case in cases(n_samples):
        report.compare(case)
    for name, compare in (("tinycudann", tcnn_cases), ("nerfacc", nerfacc_cases)):
        package = usable(name)
        if isinstance(package, str):
            report.skip(name, package)
            continue
        for case in compare(package, n_samples):
            report.compare(case)
    report.finish()


def cases(n_samples: int) -> Iterator[Case]:
    """Each op and its baseline."""
    unit = f"{n_samples} samples"
    yield from hash_encode_cases(n_samples, unit)
    yield from flow_sample_cases(n_samples, unit)
    yield from mlp_cases(n_samples, unit)
    yield from directional_cases(n_samples, unit)
    yield from composite_cases(n_samples, unit)
    yield from composite_one_cases(n_samples, unit)
    yield from march_cases(n_samples // SAMPLES_PER_RAY)


def hash_encode_cases(n_samples: int, unit: str) -> Iterator[Case]:
    for n_dims in (4, 3):
        layout, table = grid(n_dims)
        positions = ray_samples(n_samples)[:, :n_dims].contiguous()
        encode = (partial(function, layout=layout) for function in (ops.hash_encode, hash_grid.hash_encode))
        sides = Sides(*encode, "baselines/hash_grid.py", (positions, table))
        yield sides.forward(f"hash_encode_{n_dims}d.forward", unit)
        yield sides.forward_backward(f"hash_encode_{n_dims}d.forward_backward", unit)
        yield sides.forward_backward(f"hash_encode_{n_dims}d.forward_backward_table", unit, differentiable=(1,))


def flow_sample_cases(n_samples: int, unit: str) -> Iterator[Case]:
    layout, table = grid(4)
    points = ray_samples(n_samples)
    flows = torch.randn(n_samples, 3, device=DEVICE) * 0.01
    inputs = points[:, :3].contiguous(), flows, points[:, 3].contiguous(), table
    sides = Sides(
        lambda positions, flows, times, table: ops.flow_sample(
            positions, flows[None], times[None], table, layout
        ).encodings[0],
        lambda *tensors: flow_sample.flow_sample(*tensors, layout)[1],
        "baselines/flow_sample.py",
        inputs,
    )
    yield sides.forward("flow_sample.forward", unit)
    yield sides.forward_backward("flow_sample.forward_backward", unit, differentiable=(0, 1, 3))


def mlp_cases(n_samples: int, unit: str) -> Iterator[Case]:
    """The networks of the presets. The row without a suffix is the static field's of cpu-preview."""
    named = {"mlp.forward_backward": preset_widths("cpu-preview")["static"]}
    for preset in preset_names():
        for part, widths in preset_widths(preset).items():
            if widths not in named.values():
                named[f"mlp.forward_backward.{preset}_{part}"] = widths
    for name, widths in named.items():
        n_layers = len(widths) - 1
        inputs = torch.randn(n_samples, widths[0], device=DEVICE)
        layers = [torch.nn.Linear(a, b, device=DEVICE) for a, b in pairwise(widths)]
        parameters = [layer.weight.detach() for layer in layers] + [layer.bias.detach() for layer in layers]

        def run(function: Callable, n: int = n_layers) -> Callable[..., Tensor]:
            return lambda x, *rest: function(x, rest[:n], rest[n:])

        sides = Sides(run(ops.mlp), run(mlp.mlp), "baselines/mlp.py", (inputs, *parameters))
        sizes = "-".join(map(str, widths))
        backend = "torch" if DEVICE.type == "cuda" else "native"  # what ops.mlp takes
        yield dataclasses.replace(sides.forward_backward(name, f"{unit}, {sizes}"), backend=backend)


def directional_cases(n_samples: int, unit: str) -> Iterator[Case]:
    directions = torch.nn.functional.normalize(torch.randn(n_samples, 3, device=DEVICE), dim=1)
    inputs = torch.randn(n_samples, 12, device=DEVICE), directions
    sides = Sides(ops.directional, directional.directional, "baselines/directional.py", inputs)
    yield sides.forward_backward("directional.forward_backward", unit, differentiable=(0,))


def composite_cases(n_samples: int, unit: str) -> Iterator[Case]:
    """Both fields with 64 channels each; rays have as many samples as marching leaves them."""
    counts = sample_counts(n_samples // SAMPLES_PER_RAY)
    info, n = packed_info(counts.tolist(), DEVICE), int(counts.sum())
    static, dynamic = torch.rand(2, n, device=DEVICE) * 20
    blends, deltas = torch.rand(n, device=DEVICE), torch.full((n,), 1 / N_STEPS, device=DEVICE)
    channels = torch.randn(2, n, N_CHANNELS, device=DEVICE)
    upstream = torch.randn(len(info), N_CHANNELS, device=DEVICE)
    packed = static, dynamic, blends, *channels
    padded = [compositing.pad(tensor, info) for tensor in packed]
    padded_deltas = compositing.pad(deltas, info)
    everywhere = torch.arange(n, device=DEVICE)
    samples = PackedSamples(info, everywhere, deltas, deltas, info, everywhere)

    def native(static: Tensor, dynamic: Tensor, blends: Tensor, *channels: Tensor) -> Tensor:
        fields = (ops.Emission(*field) for field in ((static, channels[:1]), (dynamic, channels[1:])))
        parts = ops.composite_joint(*fields, blends, deltas, deltas, samples)
        return parts[0].sums[:, ops.FIRST_CHANNEL :] + parts[1].sums[:, ops.FIRST_CHANNEL :]

    for suffix, baseline in (("", compositing.composite), (".einsum", compositing.composite_einsum)):

        def in_torch(
            static: Tensor, dynamic: Tensor, blends: Tensor, *channels: Tensor, baseline: Callable = baseline
        ) -> Tensor:
            return baseline((static, dynamic), blends, padded_deltas, channels)

        torch.testing.assert_close(native(*packed), in_torch(*padded), rtol=1e-4, atol=1e-4)
        yield Case(
            name=f"composite_{N_CHANNELS}{suffix}",
            unit=f"{len(info)} rays, {n} samples",
            ours=gradients(native, packed, range(5), upstream),
            reference=gradients(in_torch, padded, range(5), upstream),
            reference_name=f"baselines/compositing.py, {baseline.__name__}",
        )


def sample_counts(n_rays: int) -> Tensor:
    """Numbers of samples of random rays, distributed as `COUNT_DECILES` says."""
    generator = torch.Generator().manual_seed(0)
    deciles, place = (
        torch.tensor(COUNT_DECILES, dtype=torch.float),
        torch.rand(n_rays, generator=generator) * (len(COUNT_DECILES) - 1),
    )
    return deciles[place.long()].lerp(deciles[place.long() + 1], place.frac()).round().long()


def composite_one_cases(n_samples: int, unit: str) -> Iterator[Case]:
    """Opacity of one field; rays of equal length, so that nothing is padded."""
    shape = n_samples // SAMPLES_PER_RAY, SAMPLES_PER_RAY
    info = packed_info([SAMPLES_PER_RAY] * shape[0], DEVICE)
    deltas = torch.full((n_samples,), 1 / N_STEPS, device=DEVICE)
    sides = Sides(
        lambda sigmas: ops.composite(ops.Emission(sigmas, ()), deltas, deltas, info).sums[:, 0],
        lambda sigmas: compositing.render_weights(sigmas.view(shape), deltas.view(shape)).sum(1),
        "baselines/compositing.py",
        (torch.rand(n_samples, device=DEVICE) * 20,),
    )
    yield sides.forward_backward("composite_opacity.forward_backward", unit)


def march_cases(n_rays: int) -> Iterator[Case]:
    """A thick surface at half depth, and a ball that moves across it."""
    axis = (torch.arange(OCCUPANCY, device=DEVICE) + 0.5) / OCCUPANCY
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    static = (z - 0.5 - 0.1 * torch.sin(6 * x)).abs() < 0.05
    centres = torch.linspace(0.2, 0.8, N_FRAMES, device=DEVICE)
    dynamic = torch.stack([(x - c).square() + (y - 0.5).square() + (z - 0.3).square() < 0.01 for c in centres])
    origins, directions = straight_rays(n_rays)
    frames = torch.randint(N_FRAMES, (n_rays,), generator=torch.Generator().manual_seed(1)).to(DEVICE)
    occupancy = ops.pack_occupancy(static, dynamic)

    def native() -> object:
        return ops.march(origins, directions, frames, occupancy, N_STEPS)

    def in_torch() -> object:
        return march.march(origins, directions, frames, static, dynamic, N_STEPS)

    if not torch.equal(native().ray_indices, in_torch()[0]):
        raise AssertionError("march: the baseline must keep the same steps")
    yield Case(
        name="march",
        unit=f"{n_rays} rays, {N_STEPS} steps",
        ours=native,
        reference=in_torch,
        reference_name="baselines/march.py",
    )


def preset_widths(preset: str) -> dict[str, list[int]]:
    """Widths of the networks of a preset's two fields."""
    config: FieldConfig = load_config(ExperimentConfig, preset).field
    field = SceneField(config, N_FRAMES, N_CHANNELS, BackendConfig().resolved("cpu"))
    nets = {"static": field.static.mlp, "dynamic": field.dynamic.mlp}
    return {part: [net.weights[0].shape[1], *(w.shape[0] for w in net.weights)] for part, net in nets.items()}


if __name__ == "__main__":
    main()
