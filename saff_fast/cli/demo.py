"""`saff-fast demo`."""

from pathlib import Path


def demo(out: Path = Path("demo")) -> None:
    """Run the whole way on a synthetic scene with known truth: train, render, segment, evaluate.

    Args:
        out: Folder for everything: scene/, run/, results.json, contact_sheet.png, novel_view.gif.
    """
