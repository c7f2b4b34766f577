"""`saff-fast demo`."""

from pathlib import Path
from typing import Annotated

import tyro

from saff_fast.errors import UserError

PRESET = "demo"
HEIGHT, WIDTH, N_FRAMES = 90, 160, 24
_MARK = "demo.json"


def demo(out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/demo")) -> None:
    """Run the whole way on a synthetic scene with known truth: train, render, segment, evaluate.

    Args:
        out: Folder for scene/, run/, results.json, contact_sheet.png and novel_view.gif.
    """
    from saff_fast.cli.contact_sheet import write_contact_sheet
    from saff_fast.cli.evaluate import score
    from saff_fast.cli.novel_view import write_novel_view
    from saff_fast.cli.render import render
    from saff_fast.cli.segment import segment
    from saff_fast.cli.train import train
    from saff_fast.evaluate.table import print_table
    from saff_fast.files import save_json

    scene, run = out / "scene", out / "run"
    _write_scene(out, scene)
    train(scene, out=run, preset=PRESET)
    render(run)
    segment(run)
    results = score(run)
    save_json(out / "results.json", results)
    write_contact_sheet(run, out / "contact_sheet.png")
    write_novel_view(run, out / "novel_view.gif")
    print_table(results)
    print(f"Figures: {out / 'results.json'}\nPictures: {out / 'contact_sheet.png'}, {out / 'novel_view.gif'}")


def _write_scene(out: Path, scene: Path) -> None:
    """Write the scene unless an earlier demo has; a folder that holds something else is left alone."""
    from saff_fast.files import read_json, save_json
    from saff_fast.preparation import prepare_synthetic

    mark = out / _MARK
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not mark.is_file()):
        raise UserError(f"{out} must be a new folder or hold an earlier demo, but holds something else; choose another")
    described = {"height": HEIGHT, "width": WIDTH, "n_frames": N_FRAMES}
    if mark.is_file() and read_json(mark) == described | {"complete": True}:
        return
    save_json(mark, described | {"complete": False})
    prepare_synthetic(scene, HEIGHT, WIDTH, N_FRAMES, report=print)
    save_json(mark, described | {"complete": True})
