"""A scene folder with every truth and a run that reproduces it: a square of label 1 that moves over a grey ground."""

import numpy as np

from saff_fast.files import save_json, save_npy, save_npz, write_image
from saff_fast.render.views import protocol_views
from saff_fast.scene import writer

HEIGHT, WIDTH, N_FRAMES, STEP = 24, 32, 14, 1
HELD_OUT = 13
"""Same rig camera as frame 1."""


def labels(time):
    square = np.zeros((HEIGHT, WIDTH), np.uint8)
    square[6:16, 4 + STEP * time : 12 + STEP * time] = 1
    return square


def picture(time):
    rows = np.arange(HEIGHT, dtype=np.uint8)[:, None, None]
    return np.where(labels(time)[..., None] > 0, np.uint8(200), rows * 4 + np.zeros((1, WIDTH, 3), np.uint8))


def depth(time):
    columns = np.arange(WIDTH)[None, :] + np.zeros((HEIGHT, 1))
    return np.where(labels(time) > 0, 1.5, 4 + columns / 8).astype(np.float32)


def flow(time, step):
    return np.stack([labels(time) * float(step), np.zeros((HEIGHT, WIDTH))], axis=-1).astype(np.float32)


def write_scene(scene, n_frames=N_FRAMES):
    names = [f"{time:05d}" for time in range(n_frames)]
    pictures = [picture(time) for time in range(n_frames)]
    writer.write_images(scene, names, pictures)
    c2w = np.tile(np.eye(3, 4), (n_frames, 1, 1))
    c2w[:, 0, 3] = 0.1 * np.arange(n_frames)
    bounds = np.tile([1.0, 9.0], (n_frames, 1))
    writer.write_cameras(scene, names, c2w, np.array([30.0, 30, WIDTH / 2, HEIGHT / 2]), (HEIGHT, WIDTH), bounds)
    for time in range(n_frames):
        for direction, step in (("fwd", STEP), ("bwd", -STEP)):
            if 0 <= time + step < n_frames:
                writer.write_flow(scene, names[time], direction, flow(time, step), np.ones((HEIGHT, WIDTH), bool))
            path = scene / "truth" / "flow" / f"{names[time]}_{direction}.npz"
            save_npz(path, flow=flow(time, step), occlusion=np.zeros((HEIGHT, WIDTH), bool))
    for view in protocol_views(n_frames):
        split = {"input": "training", "fix_cam0": "nv_spatial", "fix_time0": "nv_static"}[view.split]
        write_image(scene / "gt_masks" / f"{split}_{view.id:2d}.png", labels(view.time))
        write_image(scene / "truth" / "motion" / f"{view.id:05d}.png", labels(view.time) * 255)
        save_npy(scene / "truth" / "depth" / f"{view.id:05d}.npy", depth(view.time))
        folder = scene / "mv_images" / f"{view.time:05d}"
        # PNG bytes in the published name: the truth must be exact here, and readers look at the bytes.
        path = folder / f"cam{view.pose % 12 + 1:02d}.jpg"
        write_image(path.with_suffix(".png"), picture(view.time))
        path.with_suffix(".png").rename(path)


def write_run(run, scene, *, held_out=(), n_frames=N_FRAMES):
    views = protocol_views(n_frames)
    for view in views:
        stem = run / "render" / f"{view.id}"
        write_image(stem.with_name(f"{view.id}_rgb.png"), picture(view.time))
        write_image(stem.with_name(f"{view.id}_blend.png"), labels(view.time) * 255)
        write_image(stem.with_name(f"{view.id}_opacity.png"), np.full((HEIGHT, WIDTH), 255, np.uint8))
        save_npy(stem.with_name(f"{view.id}_depth.npy"), 3 * depth(view.time))
        write_image(run / "segment" / "final" / "labels" / f"{view.id:05d}.png", labels(view.time) * 4)
        if view.split == "input":
            save_npz(stem.with_name(f"{view.id}_flow.npz"), fwd=flow(view.time, STEP), bwd=flow(view.time, -STEP))
    content = {"scene": str(scene), "height": HEIGHT, "width": WIDTH, "n_frames": n_frames, "held_out": list(held_out)}
    listed = [{"id": v.id, "split": v.split, "pose": v.pose, "time": v.time} for v in views]
    save_json(run / "render" / "views.json", content | {"views": listed})
    config = {"train": {"steps": 7, "seed": 0, "hold_out": list(held_out)}}
    described = {"scene": str(scene), "config": config}
    save_json(run / "meta.json", {"commit": "abc", "device": "a CPU", "seconds": 12.5} | described)
