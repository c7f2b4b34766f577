"""Strict TOML configuration: what loads, what is refused and in which words."""

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saff_fast import config as config_module
from saff_fast.config import dump_config, load_config, override, preset_names, preset_path
from saff_fast.errors import UserError


@dataclass(frozen=True)
class Range:
    low: int = 1
    high: int = 5

    def __post_init__(self):
        if self.low > self.high:
            raise ValueError("low must not exceed high")


@dataclass(frozen=True, kw_only=True)
class Grid:
    n_levels: int = 12
    growth: float = 1.5

    def __post_init__(self):
        if self.n_levels < 1:
            raise ValueError(f"n_levels must be at least 1, got {self.n_levels}")


@dataclass(frozen=True, kw_only=True)
class Fields:
    static_grid: Grid = field(default_factory=Grid)
    dynamic_grid: Grid = field(default_factory=lambda: Grid(n_levels=9))
    mode: Literal["fast", "exact"] = "fast"


@dataclass(frozen=True, kw_only=True)
class Root:
    steps: int = 100
    rate: float = 1e-2
    fused: bool = True
    name: str = "a"
    weights: Path | None = None
    hold_out: tuple[int, ...] = ()
    box: tuple[float, float] = (0.0, 1.0)
    scales: dict[str, float] = field(default_factory=dict)
    fields: Fields = field(default_factory=Fields)


def write(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_empty_file_gives_the_defaults(tmp_path):
    assert load_config(Root, write(tmp_path, "")) == Root()


def test_kebab_and_snake_keys(tmp_path):
    text = "hold-out = [4, 10]\n[fields.dynamic-grid]\nn_levels = 7\n[fields.static_grid]\nn-levels = 3"
    loaded = load_config(Root, write(tmp_path, text))
    assert loaded == Root(hold_out=(4, 10), fields=Fields(dynamic_grid=Grid(n_levels=7), static_grid=Grid(n_levels=3)))


def test_a_layer_changes_only_what_it_mentions(tmp_path):
    base = Root(steps=7, fields=Fields(dynamic_grid=Grid(n_levels=5, growth=2.0)))
    loaded = load_config(Root, write(tmp_path, "[fields.dynamic_grid]\nn_levels = 6"), base)
    assert loaded == Root(steps=7, fields=Fields(dynamic_grid=Grid(n_levels=6, growth=2.0)))


REFUSED = {
    "unknown_key": ("step = 3", "unknown keys 'step'; known: 'steps', 'rate'"),
    "unknown_nested": (
        "[fields.static-grid]\nlevels = 3",
        "fields.static_grid: unknown keys 'levels'; known: 'n_levels'",
    ),
    "unknown_section": ("[field]\nx = 3", "unknown keys 'field'"),
    "word_for_integer": ("steps = 'many'", "steps must be an integer, got 'many'"),
    "float_for_integer": ("steps = 1.5", "steps must be an integer, got 1.5"),
    "bool_for_integer": ("steps = true", "steps must be an integer, got True"),
    "integer_for_bool": ("fused = 1", "fused must be true or false, got 1"),
    "item_of_a_list": ("hold-out = [4, 'x']", "hold_out.1 must be an integer, got 'x'"),
    "length_of_a_list": ("box = [1.0]", "box must be a list of 2 values, each a number, got [1.0]"),
    "not_a_choice": ("[fields]\nmode = 'slow'", "fields.mode must be one of 'fast', 'exact', got 'slow'"),
    "optional": ("weights = 3", "weights must be a path, got 3"),
    "value_for_section": ("fields = 3", "fields must be a section of keys, got 3"),
    "out_of_range": ("[fields.static_grid]\nn_levels = 0", "fields.static_grid: n_levels must be at least 1, got 0"),
    "both_spellings": ("hold-out = []\nhold_out = []", "a key is written twice"),
    "not_toml": ("steps", "this is not a TOML file"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses_and_names_file_and_key(text, message, tmp_path):
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load_config(Root, path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.toml.*No such file"):
        load_config(Root, str(tmp_path / "absent.toml"))


def test_override_takes_plain_words_and_toml():
    changed = override(
        Root(), ["name=balloon", "rate=1", "hold-out=[4,10]", "weights=/a/b.pth", "fields.static-grid.growth = 2.5"]
    )
    assert changed == Root(
        name="balloon",
        rate=1.0,
        hold_out=(4, 10),
        weights=Path("/a/b.pth"),
        fields=Fields(static_grid=Grid(growth=2.5)),
    )
    assert override(changed, ["weights=none"]).weights is None


def test_overrides_count_together_and_the_last_of_one_key_wins():
    order = ["low=7", "high=9"]
    assert override(Range(), order) == override(Range(), order[::-1]) == Range(low=7, high=9)
    assert override(Range(), ["high=9", "high=8"]).high == 8
    with pytest.raises(UserError, match="fields cannot be a value and a section of keys"):
        override(Root(), ["fields=3", "fields.static_grid.growth=2"])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("steps", "section.key=value, got 'steps'"),
        ("=3", "section.key=value, got '=3'"),
        ("fields.grid.n_levels=3", "--set: fields: unknown keys 'grid'; known: 'static_grid'"),
        ("fields.static_grid.n_levels=0", "n_levels must be at least 1"),
        ("steps=many", "steps must be an integer, got 'many'"),
    ],
)
def test_override_refuses(assignment, message):
    with pytest.raises(UserError) as caught:
        override(Root(), [assignment])
    assert message in str(caught.value)


@given(
    st.builds(
        Root,
        steps=st.integers(-(2**63), 2**63 - 1),
        rate=st.floats(allow_nan=False),
        fused=st.booleans(),
        name=st.text(st.characters(exclude_categories=["Cs"])),
        weights=st.none() | st.just(Path("a b/c.pth")),
        hold_out=st.lists(st.integers(0, 99)).map(tuple),
        box=st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)),
        scales=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.floats(allow_nan=False)),
        fields=st.builds(Fields, static_grid=st.builds(Grid, n_levels=st.integers(1, 20))),
    )
)
def test_round_trip(config):
    with TemporaryDirectory() as folder:  # hypothesis allows no folder of pytest's, which lasts for all examples
        assert load_config(Root, write(Path(folder), dump_config(config))) == config


def test_dump_is_complete(tmp_path):
    base = Root(steps=1, weights=Path("x"), fields=Fields(mode="exact"))
    assert load_config(Root, write(tmp_path, dump_config(Root())), base) == Root()


def test_unknown_preset_lists_the_known_ones(tmp_path, monkeypatch):
    (tmp_path / "quick.toml").write_text("steps = 5")
    (tmp_path / "good.toml").write_text("steps = 50")
    monkeypatch.setattr(config_module, "preset_folder", lambda: tmp_path)
    assert preset_names() == ("good", "quick")
    assert load_config(Root, "quick") == Root(steps=5)
    with pytest.raises(UserError, match="preset 'best' does not exist; the presets are 'good', 'quick'"):
        preset_path("best")
    with pytest.raises(UserError, match="preset"):
        load_config(Root, "../quick")
