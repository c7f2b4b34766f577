"""The eight scenes and their names."""

from pathlib import Path

import pytest

from saff_fast.scene.nvidia import NVIDIA_SCENES, existing_folder, find_nvidia_scene

USED = {  # in configurations, their file names, README, benchmarks and ground truth of the release
    "Balloon1-2": ["balloon1-2", "experiment_balloon1-2_2_multi", "Balloon1-2"],
    "Balloon2-2": ["balloon2-2", "experiment_Balloon2-2_2_multi"],
    "DynamicFace-2": ["dynamicFace-2", "experiment_dynamicFace_sal_multi"],
    "Jumping": ["jumping", "experiment_jumping_sal_multi"],
    "Playground": ["playground", "Playground", "experiment_playground_sal_multi"],
    "Skating-2": ["skating-2", "experiment_skating_sal_multi"],
    "Truck-2": ["truck2", "experiment_truck_sal_multi", "truck"],
    "Umbrella": ["umbrella", "Umbrella-2", "experiment_Umbrella_sal_multi"],
}


def test_every_name_in_use_is_found():
    assert [scene.name for scene in NVIDIA_SCENES] == list(USED)
    for name, used in USED.items():
        assert {find_nvidia_scene(other).name for other in used} == {name}
    assert find_nvidia_scene("kid-running") is None


def test_no_name_is_two_scenes():
    names = [name.lower() for scene in NVIDIA_SCENES for name in {other.lower() for other in scene.names}]
    assert len(names) == len(set(names))


def test_published_data_folders():
    assert find_nvidia_scene("truck2").datadir == "../../data/nvidia_data_full/Truck-2/dense"


@pytest.mark.parametrize("below", ["", "dense"])
def test_a_folder_is_found_under_another_spelling(tmp_path, below):
    (tmp_path / "Umbrella-2" / "dense").mkdir(parents=True)
    assert existing_folder(tmp_path / "Umbrella" / below) == tmp_path / "Umbrella-2" / below
    assert existing_folder(tmp_path / "Umbrella-2" / below) == tmp_path / "Umbrella-2" / below
    assert existing_folder(tmp_path / "Jumping" / below) == tmp_path / "Jumping" / below
    assert existing_folder(tmp_path / "mine" / below) == tmp_path / "mine" / below


def test_an_existing_folder_stays(tmp_path):
    (tmp_path / "Umbrella").mkdir()
    (tmp_path / "Umbrella-2").mkdir()
    assert existing_folder(Path(tmp_path / "Umbrella")).name == "Umbrella"
