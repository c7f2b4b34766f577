"""`saff-fast import-checkpoint`."""

from pathlib import Path
from typing import Annotated

import tyro

_HEIGHT = 288  # of all published checkpoints of the NVIDIA scenes


def import_checkpoint(
    checkpoint: Annotated[Path, tyro.conf.arg(metavar="CHECKPOINT")],
    scene: Annotated[Path, tyro.conf.arg(metavar="SCENE")],
    /,
    out: Annotated[Path, tyro.conf.arg(metavar="RUN")],
    saff_config: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: as config_*_4.txt)")
    ] = None,
    assignments: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="set", metavar="SECTION.KEY=VALUE")
    ] = (),
) -> None:
    """Make a run of a checkpoint of SAFF, to be rendered, segmented and evaluated. Nothing in it is executed.

    Args:
        checkpoint: SAFF's 360000.tar; its networks' sizes are read off it.
        scene: The scene folder that it was trained on, all frames of it.
        out: Run folder to make.
        saff_config: SAFF's configuration file of it, for what a checkpoint does not tell: height, samples, tanh.
        assignments: The same by hand, such as train.height=400 or field.reference.tanh=false.
    """
    from saff_fast.config import override
    from saff_fast.saff.import_checkpoint import import_checkpoint as run_import
    from saff_fast.saff.options import read_saff_config
    from saff_fast.scene.nvidia import existing_folder
    from saff_fast.train.config import ExperimentConfig

    config = override(ExperimentConfig(), ["field.kind=reference", f"train.height={_HEIGHT}"])
    if saff_config is not None:
        told = read_saff_config(saff_config, "reference").about("field", "train")
        config = override(config, told, str(saff_config))
    published = run_import(checkpoint, existing_folder(scene), out, override(config, assignments))
    sizes = published.config
    print(f"Imported: {out}, step {published.step}, {sizes.depth} layers of {sizes.width}, {sizes.n_samples} samples")
