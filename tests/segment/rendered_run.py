"""A small hand-made run folder: two movers of their own semantics and a static object as salient as they are."""

import numpy as np
import torch

from saff_fast.files import save_json, write_image

HEIGHT, WIDTH, N_FRAMES = 24, 40, 4
MOVER_A, MOVER_B, STATIC_OBJECT = 1, 2, 3


def instances(time):
    """Instance of each pixel: two moving squares and a static one."""
    labels = np.zeros((HEIGHT, WIDTH), np.int64)
    labels[3:10, 28:36] = STATIC_OBJECT
    labels[4:12, 2 + 3 * time : 10 + 3 * time] = MOVER_A
    labels[14:22, 26 - 4 * time : 34 - 4 * time] = MOVER_B
    return labels


def protocol_views():
    inputs = [{"id": t, "split": "input", "pose": t, "time": t} for t in range(N_FRAMES)]
    fixed_camera = [{"id": N_FRAMES + t, "split": "fix_cam0", "pose": 0, "time": t} for t in range(N_FRAMES)]
    fixed_time = [{"id": 2 * N_FRAMES + k, "split": "fix_time0", "pose": k, "time": 0} for k in range(N_FRAMES)]
    return inputs + fixed_camera + fixed_time


def write_run(run, scene, *, noise=0.15, held_out=()):
    """Write `render/` of a run with unit semantics per instance plus noise, and exact dynamic share and saliency."""
    generator = torch.Generator().manual_seed(3)
    embeddings = torch.linalg.qr(torch.randn(64, 4, generator=generator)).Q.T
    views = protocol_views()
    render = run / "render"
    render.mkdir(parents=True)
    for view in views:
        labels = torch.from_numpy(instances(view["time"]))
        features = embeddings[labels] + noise * torch.randn(HEIGHT, WIDTH, 64, generator=generator) / 8
        torch.save((0.3 * features).half(), render / f"{view['id']}_dino.pt")
        moving = (labels == MOVER_A) | (labels == MOVER_B)
        write_image(render / f"{view['id']}_blend.png", (moving.numpy() * 230 + 5).astype(np.uint8))
        write_image(render / f"{view['id']}_sal.png", ((labels > 0).numpy() * 150 + 10).astype(np.uint8))
    content = {"scene": str(scene), "height": HEIGHT, "width": WIDTH, "n_frames": N_FRAMES}
    save_json(render / "views.json", content | {"held_out": list(held_out), "views": views})
    return views
