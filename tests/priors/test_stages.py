"""Stages: what runs again, and when."""

import pytest

from saff_fast.errors import UserError
from saff_fast.files import read_json, save_json
from saff_fast.priors.record import Record, hash_files
from saff_fast.priors.stages import Stage, run_stages


class Kitchen:
    """Four stages that write what they are told: salad and soup are made of washed greens, a menu of the soup."""

    def __init__(self, folder):
        self.folder = folder / "scene"
        self.source = folder / "source"
        self.source.write_text("greens")
        self.results = {"washed": "leaves", "salad": "green", "soup": "hot", "menu": "soup of the day"}
        self.dressing = "oil"

    def stages(self):
        return [
            Stage("wash", (), ("washed",), self.writer("washed")),
            Stage("salad", ("washed",), ("salad_*",), self.writer("salad", "salad_1/bowl"), (self.dressing,)),
            Stage("soup", ("washed",), ("soup",), self.writer("soup", "soup/pot")),
            Stage("menu", ("soup",), ("menu",), self.writer("menu")),
        ]

    def writer(self, name, path=None):
        def run(tell):
            file = self.folder / (path or name)
            file.parent.mkdir(exist_ok=True)
            file.write_text(self.results[name])
            tell(1, 1, 0)
            return f"{name} by hand"

        return run

    def record(self):
        return Record.open(self.folder, self.source, hash_files([self.source]))

    def cook(self, **options):
        return run_stages(self.stages(), self.record(), **options)


@pytest.fixture
def kitchen(tmp_path):
    kitchen = Kitchen(tmp_path)
    assert kitchen.cook() == ("wash", "salad", "soup", "menu")
    return kitchen


def test_what_is_done_is_left_alone(kitchen):
    before = (kitchen.folder / "prepare.json").stat().st_mtime_ns
    assert kitchen.cook() == ()
    assert (kitchen.folder / "prepare.json").stat().st_mtime_ns == before


def test_an_option_concerns_its_stage_and_what_reads_it(kitchen):
    kitchen.dressing = "vinegar"
    assert kitchen.cook() == ("salad",)


def test_only_a_changed_result_has_consequences(kitchen):
    assert kitchen.cook(redo=("wash",)) == ("wash",)
    kitchen.results["soup"] = "cold"
    assert kitchen.cook(redo=("soup",)) == ("soup", "menu")
    kitchen.results["washed"] = "sand"
    assert kitchen.cook(redo=("wash",)) == ("wash", "salad", "soup")  # the soup comes out the same


def test_a_missing_file_is_made_again(kitchen):
    (kitchen.folder / "salad_1" / "bowl").unlink()
    assert kitchen.cook() == ("salad",)


def test_an_unknown_step_is_named_and_nothing_is_forgotten(kitchen):
    with pytest.raises(UserError, match=r"wash, salad, soup, menu, but it is 'cake'"):
        kitchen.cook(redo=("soup", "cake"))
    assert kitchen.cook() == ()


def test_a_redo_that_is_interrupted_is_not_forgotten(kitchen):
    stages = kitchen.stages()
    stages[2] = Stage("soup", ("washed",), ("soup",), lambda tell: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_stages(stages, kitchen.record(), redo=("soup", "menu"))
    assert kitchen.cook() == ("soup", "menu")


def test_a_new_version_runs_again(kitchen):
    stages = kitchen.stages()
    stages[2] = Stage("soup", ("washed",), ("soup",), stages[2].run, version=2)
    assert run_stages(stages, kitchen.record()) == ("soup",)


def test_what_would_stop_a_stage_is_found_before_its_files_go(kitchen):
    def refuse():
        raise UserError("no gas")

    stages = kitchen.stages()
    stages[2] = Stage("soup", ("washed",), ("soup",), stages[2].run, version=2, check=refuse)
    with pytest.raises(UserError, match="no gas"):
        run_stages(stages, kitchen.record())
    assert (kitchen.folder / "soup" / "pot").exists()


def test_progress_names_stage_and_time(kitchen):
    seen = []
    kitchen.cook(redo=("soup",), on_progress=seen.append)
    assert [(p.stage, p.done, p.total, p.kept) for p in seen] == [("soup", 0, 0, 0), ("soup", 1, 1, 0)]
    assert 0 <= seen[0].seconds <= seen[1].seconds < 60


def test_the_record_says_how_and_how_long(kitchen):
    entry = read_json(kitchen.folder / "prepare.json")["stages"]["soup"]
    assert entry["made_by"] == "soup by hand"
    assert 0 <= entry["seconds"] < 60
    assert list(entry["files"]) == ["soup/pot"]


def test_records_of_another_format_count_for_nothing(kitchen):
    path = kitchen.folder / "prepare.json"
    save_json(path, {**read_json(path), "format": 1})
    assert kitchen.cook() == ("wash", "salad", "soup", "menu")


def test_beginning_again_keeps_whole_files_of_the_same_inputs_only(kitchen):
    bowl, half = kitchen.folder / "salad_1" / "bowl", kitchen.folder / "salad_1" / ".other.123.tmp"
    half.write_text("ha")
    record = kitchen.record()
    record.begin("salad", record.stages["salad"]["key"], ("salad_*",))
    assert bowl.exists()
    assert not half.exists()
    assert not kitchen.record().is_done("salad", record.stages["salad"]["key"])
    record.begin("salad", "another key", ("salad_*",))
    assert not bowl.exists()
