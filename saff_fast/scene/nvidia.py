"""The eight NVIDIA Dynamic Scenes of the published experiments, under all the names that they go by."""

from dataclasses import dataclass
from pathlib import Path

from saff_fast.scene.layout import DENSE


@dataclass(frozen=True)
class NvidiaScene:
    """One scene: the names of its data, its configuration file and its experiment."""

    name: str
    """Here, and of its folder in `nvidia_data_full/`."""
    config: str
    """`NAME` of the published `config_NAME_4.txt`."""
    expname: str
    """Experiment of that file: its folder of logs and checkpoints, before `_F00-30`."""
    others: tuple[str, ...] = ()
    """Further spellings in use."""

    @property
    def datadir(self) -> str:
        """Data folder of the published configuration, from the folder that it is started in."""
        return f"../../data/nvidia_data_full/{self.name}/{DENSE}"

    @property
    def names(self) -> tuple[str, ...]:
        """All spellings, the one used here first."""
        return tuple(dict.fromkeys((self.name, self.config, *self.others, self.expname)))


NVIDIA_SCENES = (
    NvidiaScene("Balloon1-2", "balloon1-2", "experiment_balloon1-2_2_multi", ("Balloon1", "balloon1")),
    NvidiaScene("Balloon2-2", "balloon2-2", "experiment_Balloon2-2_2_multi", ("Balloon2", "balloon2")),
    NvidiaScene("DynamicFace-2", "dynamicFace-2", "experiment_dynamicFace_sal_multi", ("DynamicFace", "dynamicFace")),
    NvidiaScene("Jumping", "jumping", "experiment_jumping_sal_multi"),
    NvidiaScene("Playground", "playground", "experiment_playground_sal_multi"),
    NvidiaScene("Skating-2", "skating-2", "experiment_skating_sal_multi", ("Skating", "skating")),
    NvidiaScene("Truck-2", "truck2", "experiment_truck_sal_multi", ("Truck", "truck", "truck-2", "Truck2")),
    NvidiaScene("Umbrella", "umbrella", "experiment_Umbrella_sal_multi", ("Umbrella-2", "umbrella-2", "Umbrella2")),
)


def find_nvidia_scene(name: str) -> NvidiaScene | None:
    """The scene that goes by `name`, in any case; None if it is none of the eight.

    Example:
        >>> [find_nvidia_scene(name).name for name in ("playground", "Umbrella-2", "truck2")]
        ['Playground', 'Umbrella', 'Truck-2']
    """
    return next((s for s in NVIDIA_SCENES if name.lower() in {other.lower() for other in s.names}), None)


def existing_folder(datadir: Path) -> Path:
    """The folder itself or, where there is none, one beside it under another name of the same scene.

    Spellings differ between the published files (`playground`, `Playground`; `Umbrella`, `Umbrella-2`).
    """
    below = (DENSE,) if datadir.name == DENSE else ()
    folder = datadir.parent if below else datadir
    scene = find_nvidia_scene(folder.name)
    if folder.is_dir() or scene is None:
        return datadir
    found = (folder.with_name(name).joinpath(*below) for name in scene.names if folder.with_name(name).is_dir())
    return next(found, datadir)
