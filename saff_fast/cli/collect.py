"""`saff-fast collect`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from saff_fast.errors import UserError

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from numpy import ndarray

    from saff_fast.evaluate.collect import Entry, Relabel


def collect(
    paths: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN...")],
    /,
    *,
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/collected"),
    truth: Annotated[
        Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: truth/ beside the label maps)")
    ] = None,
    relabel: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(metavar="[SCENE:]OLD=NEW", help_behavior_hint="(repeatable)"),
    ] = (),
    protocol: Annotated[str, tyro.conf.arg(metavar="NAME")] = "saff-clean",
    seed: Annotated[int, tyro.conf.arg(metavar="INT")] = 0,
) -> None:
    """Scores of many runs, and of other systems' label maps, as one table and a grid of pictures.

    Args:
        paths: Run folders; folders of label maps named by view (0.png, 00.png, 00000.png), integers or colours with
            black as background; folders of such folders, as the published results (one a scene).
        out: Folder for table.md, table.tex, table.csv, results.json and grid.png.
        truth: Folder with each scene's true label maps, in SCENE/truth/, SCENE/ or gt_masks/SCENE/.
        relabel: True label that counts as another, 3=2, or as background, 2=0; of one scene: Truck-2:2=0.
        protocol: A protocol of `saff-fast evaluate`; label maps alone can be scored by saff-clean, saff-official,
            davis-uvos.
        seed: Of the bootstrap intervals.
    """
    from saff_fast.evaluate.collect import Request
    from saff_fast.evaluate.collect import collect as run_collect
    from saff_fast.evaluate.comparison import as_csv, as_latex, as_markdown, compare
    from saff_fast.files import save_json, save_text, write_image

    entries = run_collect(list(paths), Request(protocol, truth, read_relabel(relabel), seed))
    table = compare(entries)
    for name, write in (("table.md", as_markdown), ("table.tex", as_latex), ("table.csv", as_csv)):
        save_text(out / name, write(table))
    save_json(out / "results.json", [{"system": entry.system} | entry.results for entry in entries])
    write_image(out / "grid.png", _grid(entries))
    print(as_markdown(table), end="")
    print(f"Tables and pictures: {out}")


def read_relabel(texts: tuple[str, ...]) -> "Relabel":
    """`Truck-2:2=0` by scene, `3=2` under None."""
    rules: Relabel = {}
    for text in texts:
        scene, _, pair = text.rpartition(":")
        try:
            old, new = (int(part) for part in pair.split("="))
        except ValueError:
            raise UserError(f"--relabel must be two labels such as 3=2 or Truck-2:2=0, got {text!r}.") from None
        rules.setdefault(scene or None, {})[old] = new
    return rules


def _grid(entries: "list[Entry]") -> "UInt8[ndarray, 'height width 3']":
    """A row a scene, a column a system: its labels of the first input view that it has, in colours."""
    from saff_fast.cli.contact_sheet import sheet
    from saff_fast.segment.labels import colourise

    systems = list(dict.fromkeys(entry.system for entry in entries))
    scenes = list(dict.fromkeys(entry.scene for entry in entries))
    pictures = {}
    for entry in entries:
        labels = next((found for view in entry.views if (found := entry.labels_of(view)) is not None), None)
        if labels is not None:
            pictures[entry.scene, entry.system] = colourise(labels)
    aspect = next((picture.shape[0] / picture.shape[1] for picture in pictures.values()), 9 / 16)
    return sheet(systems, [(scene, [pictures.get((scene, s)) for s in systems]) for scene in scenes], aspect)
