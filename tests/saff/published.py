"""SAFF as its formulas say (method sections 1 to 4), straight on in float64, and files as it writes them."""

import numpy as np
import torch
from torch.nn.functional import linear

SKIP, BANDS, VIEW_BANDS = 4, 10, 4


def random_network(n_dims, own, *, width=32, depth=8, n_semantic=5, deep=False, saliency=True):
    """Parameters of one network under their published names."""
    n_in, n_views = n_dims * (2 * BANDS + 1), 3 * (2 * VIEW_BANDS + 1)
    sizes = {f"pts_linears.{i}": (width, width + n_in * (i == SKIP + 1)) for i in range(1, depth)}
    sizes |= {"pts_linears.0": (width, n_in), "feature_linear": (width, width), "alpha_linear": (1, width)}
    sizes |= {"views_linears.0": (width // 2, width + n_views), "rgb_linear": (3, width // 2)}
    heads = [(width, width), (n_semantic, width)] if deep else [(n_semantic, width)]
    sizes |= {f"dino_linears.{i}": size for i, size in enumerate(heads) if n_semantic}
    sizes |= {"sal_linear": (1, width)} if saliency else {}
    sizes |= {name: (n, width) for name, n in own.items()}
    parameters = {}
    for name, (n_out, n) in sizes.items():
        parameters[f"module.{name}.weight"] = torch.randn(n_out, n) * (1.5 / n) ** 0.5
        parameters[f"module.{name}.bias"] = torch.randn(n_out) * 0.1
    return parameters


def random_checkpoint(**sizes):
    dynamic = random_network(4, {"sf_linear": 6, "prob_linear": 2}, **sizes)
    static = random_network(3, {"w_linear": 1}, **sizes)
    optimiser = {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 5e-4, "params": [0]}]}
    return {
        "global_step": 360000,
        "network_fn_state_dict": dynamic,
        "network_rigid": static,
        "optimizer_state_dict": optimiser,
    }


def encode(x, bands):
    parts = [x]
    for k in range(bands):
        parts += [torch.sin(2**k * x), torch.cos(2**k * x)]
    return torch.cat(parts, -1)


def query(p, x, views, *, tanh=True):
    """Raw heads of a network at encoded points: rgb, sigma before noise, semantics, saliency, and what is its own."""

    def layer(name, value):
        return linear(value, p[f"module.{name}.weight"].double(), p[f"module.{name}.bias"].double())

    encoded = encode(x, BANDS)
    h = encoded
    for i in range(sum("pts_linears" in name for name in p) // 2):
        h = torch.relu(layer(f"pts_linears.{i}", torch.cat([encoded, h], -1) if i == SKIP + 1 else h))
    seen = torch.relu(layer("views_linears.0", torch.cat([layer("feature_linear", h), encode(views, VIEW_BANDS)], -1)))
    semantics = layer("dino_linears.0", h)
    if "module.dino_linears.1.weight" in p:
        semantics = layer("dino_linears.1", torch.relu(semantics))
    return {
        "rgb": torch.sigmoid(layer("rgb_linear", seen)),
        "sigma": torch.relu(layer("alpha_linear", h))[..., 0],
        "semantic": torch.tanh(semantics) if tanh else semantics,
        "saliency": torch.sigmoid(layer("sal_linear", h)),
        "v": torch.sigmoid(layer("w_linear", h))[..., 0] if "module.w_linear.weight" in p else None,
    }


def published_rays(poses_bounds, k, height, width):
    """Rays of picture k in NDC, and the unit view directions of the world, for integer pixels."""
    rows = poses_bounds.astype(np.float64)
    matrices = rows[:, :15].reshape(-1, 3, 5)
    focal = matrices[0, 2, 4] * height / matrices[0, 0, 4]
    poses = np.concatenate([matrices[:, :, 1:2], -matrices[:, :, 0:1], matrices[:, :, 2:4]], 2)
    poses[:, :, 3] /= 0.9 * np.percentile(rows[:, 15], 5)
    z = poses[:, :, 2].sum(0)
    z /= np.linalg.norm(z)
    x = np.cross(poses[:, :, 1].sum(0), z)
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    y /= np.linalg.norm(y)
    mean = np.eye(4)
    mean[:3] = np.stack([x, y, z, poses[:, :, 3].mean(0)], 1)
    c2w = (np.linalg.inv(mean) @ np.concatenate([poses[k], [[0, 0, 0, 1]]]))[:3]
    j, i = np.meshgrid(np.arange(width), np.arange(height))
    camera = np.stack([(j - width / 2) / focal, -(i - height / 2) / focal, -np.ones_like(j)], -1).reshape(-1, 3)
    d = camera @ c2w[:, :3].T
    views = d / np.linalg.norm(d, axis=-1, keepdims=True)
    o = c2w[:, 3] - ((1 + c2w[2, 3]) / d[:, 2:]) * d
    ax, ay = 2 * focal / width, 2 * focal / height
    origins = np.stack([-ax * o[:, 0] / o[:, 2], -ay * o[:, 1] / o[:, 2], 1 + 2 / o[:, 2]], -1)
    slope = np.stack([-ax * (d[:, 0] / d[:, 2] - o[:, 0] / o[:, 2]), -ay * (d[:, 1] / d[:, 2] - o[:, 1] / o[:, 2])], -1)
    directions = np.concatenate([slope, -2 / o[:, 2:]], -1)
    return tuple(torch.from_numpy(a) for a in (origins, directions, views))


def published_render(checkpoint, rays, time, n_samples=128, tanh=True, rigid=True):
    """Blended maps of rays: rgb, semantic, saliency, dynamic weight, expected ray parameter."""
    origins, directions, views = rays
    s = torch.linspace(0, 1, n_samples, dtype=torch.float64)
    points = origins[:, None] + s[:, None] * directions[:, None]
    views = views[:, None].expand_as(points)
    times = torch.full_like(points[..., :1], time)
    dynamic = query(checkpoint["network_fn_state_dict"], torch.cat([points, times], -1), views, tanh=tanh)
    static = query(checkpoint["network_rigid"], points, views, tanh=tanh)
    v = static["v"] if rigid else torch.ones_like(static["v"])
    deltas = torch.cat([s[1:] - s[:-1], torch.tensor([1e10], dtype=torch.float64)]) * directions.norm(dim=-1)[:, None]
    a_d = v * (1 - torch.exp(-dynamic["sigma"] * deltas))
    a_s = (1 - v) * (1 - torch.exp(-static["sigma"] * deltas))
    passed = torch.cumprod((1 - a_d) * (1 - a_s) + 1e-10, 1)
    trans = torch.cat([torch.ones_like(passed[:, :1]), passed[:, :-1]], 1)
    w_d, w_s = (trans * a_d)[..., None], (trans * a_s)[..., None]
    maps = {key: (w_d * dynamic[key] + w_s * static[key]).sum(1) for key in ("rgb", "semantic", "saliency")}
    return maps | {"blend": w_d.sum(1)[:, 0], "t": ((w_d + w_s)[..., 0] * s).sum(1)}
