"""The native ops against the CUDA packages that do the same work."""

import importlib
from collections.abc import Iterator
from types import ModuleType

import torch
from harness import DEVICE, Case
from sides import Sides, gradients
from workload import GRID, N_STEPS, OCCUPANCY, SAMPLES_PER_RAY, ray_samples, straight_rays

from saff_fast import ops
from saff_fast.ops import HashGridLayout


def usable(name: str) -> ModuleType | str:
    """The package, or why it cannot be compared with."""
    if DEVICE.type != "cuda":
        return "runs on CUDA only"
    try:
        return importlib.import_module(name)
    except Exception as error:  # a broken package may raise anything at import
        return f"{type(error).__name__}: {error}"


def tcnn_cases(tcnn: ModuleType, n_samples: int) -> Iterator[Case]:
    """The same isotropic 4D grid in tiny-cuda-nn, in single precision on both sides."""
    layout = HashGridLayout.build(4, **GRID)
    growth = (GRID["finest_resolution"] / GRID["base_resolution"]) ** (1 / (GRID["n_levels"] - 1))
    sizes = {
        "n_levels": GRID["n_levels"],
        "n_features_per_level": GRID["n_features"],
        "log2_hashmap_size": GRID["log2_table_size"],
        "base_resolution": GRID["base_resolution"],
        "per_level_scale": growth,
    }
    encoding = tcnn.Encoding(4, {"otype": "HashGrid", **sizes}, dtype=torch.float32)
    table = encoding.params.detach().view(layout.n_entries, layout.n_features)
    sides = Sides(
        lambda x, values: ops.hash_encode(x, values, layout),
        lambda x, values: encoding(x),
        f"tinycudann {getattr(tcnn, '__version__', '')}".strip(),
        (ray_samples(n_samples), table),
    )
    yield sides.forward("hash_encode_4d.forward.tcnn", f"{n_samples} samples")
    points = ray_samples(n_samples)
    upstream = torch.randn(n_samples, layout.n_outputs, device=DEVICE)

    def theirs() -> object:
        leaf = points.detach().requires_grad_()
        return torch.autograd.grad(encoding(leaf), [leaf, encoding.params], upstream)

    yield Case(
        name="hash_encode_4d.forward_backward.tcnn",
        unit=f"{n_samples} samples",
        ours=gradients(sides.native, sides.inputs, (0, 1), upstream),
        reference=theirs,
        reference_name=sides.reference_name,
    )


def nerfacc_cases(nerfacc: ModuleType, n_samples: int) -> Iterator[Case]:
    """One binary grid, without time."""
    n_rays = n_samples // SAMPLES_PER_RAY
    axis = (torch.arange(OCCUPANCY, device=DEVICE) + 0.5) / OCCUPANCY
    occupied = ((axis - 0.5).abs() < 0.05).expand(OCCUPANCY, OCCUPANCY, OCCUPANCY).contiguous()
    origins, directions = straight_rays(n_rays)
    occupancy = ops.pack_occupancy(occupied, torch.zeros_like(occupied)[None])
    frames = torch.zeros(n_rays, dtype=torch.long, device=DEVICE)
    cube = torch.tensor([[0.0, 0, 0, 1, 1, 1]], device=DEVICE)
    near, far = torch.zeros(n_rays, device=DEVICE), torch.ones(n_rays, device=DEVICE)
    yield Case(
        name="march.nerfacc",
        unit=f"{n_rays} rays, {N_STEPS} steps",
        ours=lambda: ops.march(origins, directions, frames, occupancy, N_STEPS),
        reference=lambda: nerfacc.traverse_grids(
            origins, directions, occupied[None], cube, near_planes=near, far_planes=far, step_size=1 / N_STEPS
        ),
        reference_name=f"nerfacc {getattr(nerfacc, '__version__', '')}".strip(),
    )
