import shutil

import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.evaluate.collect import Request, collect, truth_of
from saff_fast.evaluate.published_colours import published_picture
from saff_fast.files import save_json, write_image
from tests.evaluate.scored_run import labels, write_run, write_scene

REQUEST = Request("saff-clean")


@pytest.fixture
def data(tmp_path):
    """Truth of two published scenes, and a system's results in the published layout and in one beside the truth."""
    for scene in ("Balloon1-2", "Playground"):
        for frame in (0, 9):
            true = labels(frame) * 1
            true[0, :4] = 3
            write_image(tmp_path / scene / "truth" / f"{frame:05d}.png", true)
            found = labels(frame) * 2
            write_image(tmp_path / scene / "other" / "cluster" / f"{frame:02d}.png", found)
            write_image(tmp_path / "ours_crf" / scene.lower() / f"{frame}.png", published_picture(found))
    return tmp_path


def test_the_published_layout_under_its_spellings(data):
    entries = collect([data / "ours_crf"], Request("saff-clean", truth=data))
    assert [(e.system, e.scene) for e in entries] == [("ours_crf", "balloon1-2"), ("ours_crf", "playground")]
    for entry in entries:
        assert entry.results["truth"]["fg_iou"] == pytest.approx(80 / 84)
        assert len(entry.results["frames"]) == 2
    official = collect([data / "ours_crf"], Request("saff-official", truth=data))
    assert official[0].results["splits"]["input"]["fg_jaccard"] == pytest.approx(80 / 84)


def test_systems_beside_the_truth_of_a_scene(data):
    (entry,) = collect([data / "Balloon1-2" / "other"], REQUEST)
    assert (entry.system, entry.scene) == ("other/cluster", "Balloon1-2")
    assert entry.results["truth"]["fg_iou"] == pytest.approx(80 / 84)
    (alone,) = collect([data / "Balloon1-2" / "other" / "cluster"], REQUEST)
    assert alone.results["truth"] == entry.results["truth"]


def test_relabelling_is_by_scene_in_any_spelling(data):
    paths = [data / scene / "other" for scene in ("Balloon1-2", "Playground")]
    request = Request("saff-clean", relabel={"playground": {3: 0}})
    assert [e.results["truth"]["fg_iou"] for e in collect(paths, request)] == [pytest.approx(80 / 84), 1]
    everywhere = Request("saff-clean", relabel={None: {3: 0}})
    assert [e.results["truth"]["fg_iou"] for e in collect(paths, everywhere)] == [1, 1]


def test_runs_give_their_own_results_or_are_scored(tmp_path):
    write_scene(tmp_path / "scene")
    write_run(tmp_path / "run", tmp_path / "scene")
    (entry,) = collect([tmp_path / "run"], REQUEST)
    assert (entry.system, entry.scene) == ("run", "scene")
    assert entry.results["splits"]["input"]["fg_jaccard"] == 1
    save_json(tmp_path / "run" / "results.json", {"protocol": "saff-clean", "splits": {"input": {"psnr": 7.0}}})
    assert collect([tmp_path / "run"], REQUEST)[0].results["splits"]["input"]["psnr"] == 7
    save_json(tmp_path / "run" / "results.json", {"protocol": "saff-clean", "splits": {"input": {"psnr": 7.0}}})
    write_image(tmp_path / "true" / "scene" / "00000.png", labels(0))
    (scored,) = collect([tmp_path / "run"], Request("saff-clean", truth=tmp_path / "true"))
    assert scored.results["truth"]["fg_iou"] == 1, "the results that are there know nothing of this truth"
    assert "davis" in collect([tmp_path / "run"], Request("davis-uvos"))[0].results


def test_gaps_and_other_mistakes(data):
    (data / "Balloon1-2" / "other" / "cluster" / "09.png").unlink()
    with pytest.raises(UserError, match="must hold label maps of frame 00009 to be scored against their truth; add"):
        collect([data / "Balloon1-2" / "other"], REQUEST)
    with pytest.raises(UserError, match="absent must be a run folder or a folder of label maps"):
        collect([data / "absent"], REQUEST)
    (data / "nothing").mkdir()
    with pytest.raises(UserError, match="nothing must be a run folder, a folder of label maps"):
        collect([data / "nothing"], REQUEST)
    with pytest.raises(UserError, match="must be a run to be scored by holdout, but holds label maps only"):
        collect([data / "Playground" / "other"], Request("holdout"))
    shutil.rmtree(data / "Playground" / "truth")
    with pytest.raises(UserError, match="must have true label maps in a folder truth/ beside or above it"):
        collect([data / "Playground" / "other"], REQUEST)
    with pytest.raises(UserError, match=r"true label maps in .*, under the name of its scene"):
        collect([data / "Playground" / "other"], Request("saff-clean", truth=data / "nothing"))


@pytest.mark.parametrize("place", ["{}/truth", "gt_masks/{}", "{}/gt_masks", "{}"])
@pytest.mark.parametrize("name", ["Balloon1-2", "balloon1-2"])
def test_places_of_truth(tmp_path, place, name):
    folder = tmp_path / place.format(name)
    write_image(folder / "training_ 0.png", labels(0))
    assert truth_of("Balloon1-2", tmp_path) == folder
    assert truth_of("Umbrella", tmp_path) is None


def test_truth_in_colours_is_refused(data):
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[0, 0, 1] = 9
    write_image(data / "Balloon1-2" / "truth" / "00000.png", colours)
    with pytest.raises(UserError, match="but is a colour picture"):
        collect([data / "Balloon1-2" / "other"], REQUEST)
