"""Every option of a published configuration file, and what it means here (SAFF, method section 7.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saff_fast.errors import UserError
from saff_fast.fields.scene_field import FieldKind
from saff_fast.saff.config_file import Entry, read_entries

_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class ValueType:
    """What the words of a value may be."""

    words: str
    """In an error message: `must be ...`."""
    parse: Callable[[str], Any]
    """Raises ValueError or KeyError for anything else."""


@dataclass(frozen=True)
class Option:
    """One option of `run_nerf.py`: either keys of ours take its value, or there is a reason why none does."""

    type: ValueType
    default: Any
    """What SAFF takes where the file does not say."""
    taken: Callable[[Any], dict[str, Any]] | None = None
    """Our keys and their values, for a value of the option."""
    reason: str = ""
    """Why it has no effect, or none with hash fields."""
    kinds: tuple[FieldKind, ...] = ("hash", "reference")
    """Kinds of fields with which the keys take it."""

    def assignments(self, value: Any, kind: FieldKind) -> list[str]:
        """`section.key=value` of what takes the value; nothing if there is a reason why not."""
        if self.taken is None or kind not in self.kinds:
            return []
        return [f"{key}={_literal(taken)}" for key, taken in self.taken(value).items()]


def _field(type: ValueType, default: Any, key: str, convert: Callable[[Any], Any] = lambda value: value) -> Option:
    return Option(type, default, lambda value: {f"field.reference.{key}": convert(value)})


def _loss(type: ValueType, default: Any, key: str) -> Option:
    return Option(type, default, lambda value: {f"{PUBLISHED}.{key}": value})


def _unused(type: ValueType, default: Any, reason: str) -> Option:
    return Option(type, default, reason=reason)


def _three_numbers(text: str) -> tuple[float, ...]:
    numbers = tuple(float(word) for word in text.split())
    if len(numbers) != 3:
        raise ValueError(text)
    return numbers


PUBLISHED = "published"
"""Section of the configuration with the weights of the published losses."""
_INT = ValueType("a whole number", int)
_FLOAT = ValueType("a number", float)
_FLAG = ValueType("True or False", lambda text: _FLAGS[text.lower()])
_TEXT = ValueType("a text", str)
_THREE = ValueType("three numbers", _three_numbers)
_DEAD = "none in SAFF either"
_PREPARE = "semantics are computed by `saff-fast prepare`, not at the start of training"
_MODE = "not a setting but a mode: see docs/saff.md for the command"
_SEGMENT = "belongs to clustering: `saff-fast segment --set`"
_SCENE = "names data or logs: SCENE and --out do here"
_PIECES = "work is cut into pieces that fit into memory"

OPTIONS: dict[str, Option] = {
    "config": _unused(_TEXT, None, "the file itself"),
    "expname": _unused(_TEXT, None, _SCENE),
    "basedir": _unused(_TEXT, "./logs/", _SCENE),
    "datadir": _unused(_TEXT, "./data/llff/fern", "is the scene where SCENE is not given"),
    "final_height": Option(_INT, 288, lambda value: {"train.height": value}),
    "netdepth": _field(_INT, 8, "depth"),
    "netwidth": _field(_INT, 256, "width"),
    "netdepth_fine": _unused(_INT, 8, _DEAD),
    "netwidth_fine": _unused(_INT, 256, _DEAD),
    "N_rand": Option(
        _INT,
        4096,
        lambda value: {"train.rays": value, "train.moving_rays": value // 4},
        "hash fields take the preset's rays: a ray costs them a hundredth of the published networks'",
        kinds=("reference",),
    ),
    "lrate": _field(_FLOAT, 5e-4, "learning_rate"),
    "lrate_decay": _unused(
        _INT, 300, "the step size falls to train.learning_rate_end over the run, however long it is"
    ),
    "chunk": _unused(_INT, 131072, _PIECES),
    "netchunk": _unused(_INT, 131072, _PIECES),
    "no_batching": _unused(_FLAG, False, _DEAD),
    "testskip": _unused(_INT, 8, _DEAD),
    "llffhold": _unused(_INT, 8, f"{_DEAD}; see --hold-out"),
    "no_reload": _unused(_FLAG, False, "a run goes on from its checkpoint; choose another --out to start anew"),
    "ft_path": _unused(_TEXT, None, "`saff-fast import-checkpoint` reads published checkpoints"),
    "N_samples": _field(_INT, 64, "n_samples"),
    "N_importance": _unused(_INT, 0, _DEAD),
    "perturb": _unused(_FLOAT, 1.0, "samples are always moved at random in training, and never in rendering"),
    "raw_noise_std": _loss(_FLOAT, 0.0, "noise_std"),
    "use_viewdirs": _unused(_FLAG, False, "colour always depends on the viewing direction; SAFF fails without"),
    "i_embed": _unused(_INT, 0, "coordinates are always encoded"),
    "multires": _field(_INT, 10, "n_bands"),
    "multires_views": _field(_INT, 4, "n_bands_views"),
    "white_bkgd": _unused(_FLAG, False, _DEAD),
    "lindisp": _unused(_FLAG, False, _DEAD),
    "dataset_type": _unused(_TEXT, "llff", "this is the only layout"),
    "factor": _unused(_INT, 8, f"{_DEAD}: final_height decides"),
    "no_ndc": _unused(_FLAG, False, "fields always live in NDC; SAFF's losses need it"),
    "spherify": _unused(_FLAG, False, _DEAD),
    "start_frame": _unused(_INT, 0, "SCENE is taken whole; `saff-fast prepare --start --end` cuts"),
    "end_frame": _unused(_INT, 50, "SCENE is taken whole; `saff-fast prepare --start --end` cuts"),
    "target_idx": _unused(_INT, 10, "belongs to modes that render camera paths"),
    "use_motion_mask": _unused(_FLAG, False, "train.moving_rays of each step are drawn where motion is likely"),
    "num_extra_sample": _unused(_INT, 512, "train.moving_rays of each step are drawn where motion is likely"),
    "w_depth": _loss(_FLOAT, 0.04, "w_depth"),
    "decay_depth_w": _loss(_FLAG, False, "decay_depth"),
    "depth_full": _loss(_FLAG, False, "depth_full"),
    "w_optical_flow": _loss(_FLOAT, 0.02, "w_optical_flow"),
    "decay_optical_flow_w": _loss(_FLAG, False, "decay_optical_flow"),
    "w_sm": _loss(_FLOAT, 0.1, "w_sm"),
    "w_sf_reg": _loss(_FLOAT, 0.1, "w_sf_reg"),
    "w_cycle": _loss(_FLOAT, 0.1, "w_cycle"),
    "w_prob_reg": _loss(_FLOAT, 0.1, "w_prob_reg"),
    "w_entropy": _loss(_FLOAT, 1e-3, "w_entropy"),
    "decay_iteration": _unused(_INT, 50, "schedules are shares of the run: the published 30 of 370 thousand steps"),
    "chain_sf": _loss(_FLAG, False, "chain_sf"),
    "i_print": _unused(_INT, 1000, "made for 370,000 steps; see train.log_every"),
    "i_img": _unused(_INT, 1000, "made for 370,000 steps; see train.log_every"),
    "i_weights": _unused(_INT, 10000, "made for 370,000 steps; see train.checkpoint_every"),
    "model_type": _unused(_TEXT, "dino_vits8", f"{_PREPARE}: --features"),
    "stride": _unused(_INT, 4, f"{_PREPARE}: --parity"),
    "layer": _unused(_INT, 11, f"{_PREPARE}: --parity"),
    "facet": _unused(_TEXT, "key", f"{_PREPARE}: --parity"),
    "bin": _unused(_FLAG, False, f"{_PREPARE}: --parity"),
    "load_size": _unused(_INT, 128, f"{_PREPARE}: --parity"),
    "load_dino_size": _unused(_INT, 128, f"{_PREPARE}: --parity"),
    "dino_batch": _unused(_INT, 4, _PREPARE),
    "dino_coe": _loss(_FLOAT, 0.0, "dino_coe"),
    "sal_coe": _loss(_FLOAT, 0.0, "sal_coe"),
    "shallow_dino": _field(_FLAG, False, "deep_semantics", lambda shallow: not shallow),
    "use_tanh": _field(_FLAG, False, "tanh"),
    "prep_dino": _unused(_FLAG, False, f"{_PREPARE}: always with PCA"),
    "n_components": _unused(_INT, 64, f"{_PREPARE}: as many channels as the scene has"),
    "use_multi_dino": _unused(_FLAG, False, f"{_PREPARE}: always a pyramid"),
    "use_multi_dino_single_sal": _unused(_FLAG, False, f"{_DEAD}: SAFF stops there"),
    "load_dino_dir": _unused(_TEXT, "", _PREPARE),
    "load_feat_weight": _unused(_THREE, None, _PREPARE),
    "load_sal_weight": _unused(_THREE, None, _PREPARE),
    "decay_extra": _loss(_FLAG, False, "decay_extra"),
    "disable_rigid": _field(_FLAG, False, "static_part", lambda disabled: not disabled),
    "dino_weight": _unused(_FLOAT, 1.0, _SEGMENT),
    "flow_weight": _unused(_FLOAT, 0.0, _SEGMENT),
    "render_test": _unused(_FLAG, False, "changes names of folders only"),
    "render_factor": _unused(_FLOAT, 0.0, "views are rendered at train.height"),
    "load_algo": _unused(_TEXT, None, _DEAD),
    "n_cluster": _unused(_INT, None, _DEAD),
    "cluster_dir": _unused(_TEXT, None, _SEGMENT),
    **dict.fromkeys(("no_merge", "use_pos", "use_time", "use_pcd", "render_pcd"), _unused(_FLAG, False, _SEGMENT)),
    **dict.fromkeys(
        (
            *("render_mode", "render_bt", "render_lockcam_slowmo", "render_slowmo_bt", "render_slowmo_full"),
            *("render_pcd_color", "render_pcd_cluster", "cluster_pcd", "cluster_2D", "extract_2D", "cluster_2D_flow"),
            *("render_2D", "render_pcd_cluster_3D", "cluster_finch", "render_sal_3D"),
        ),
        _unused(_FLAG, False, _MODE),
    ),
}


@dataclass(frozen=True)
class Translation:
    """A published configuration in our terms."""

    source: Path
    assignments: tuple[str, ...]
    """`section.key=value`, of every option that has an effect, also where SAFF's default holds."""
    lines: tuple[str, ...]
    """What became of every option of the file, and of the defaults that it leaves."""
    datadir: Path | None
    """The data folder that the file names."""

    def about(self, *sections: str) -> list[str]:
        """The assignments to keys in these sections."""
        return [text for text in self.assignments if text.split(".")[0] in sections]

    def __str__(self) -> str:
        """A list to read."""
        return "\n".join((f"{self.source}, a configuration of SAFF:", *(f"  {line}" for line in self.lines)))


def read_saff_config(path: Path, kind: FieldKind) -> Translation:
    """What a published configuration file asks for.

    Options that it does not have are SAFF's defaults, not ours. The losses are the published ones (`objective`).

    Args:
        path: The file, such as `config_balloon1-2_4.txt`.
        kind: Fields that are to be trained; some options concern the published networks only.

    Raises:
        UserError: if the file is not of that form, has an unknown option, or a value of the wrong type.
    """
    given = {entry.key: (entry, _value(path, entry)) for entry in read_entries(path)}
    assignments, lines, defaults = [f"objective={PUBLISHED}"], [], []
    for name, option in OPTIONS.items():
        value = given[name][1] if name in given else option.default
        texts = option.assignments(value, kind)
        assignments += texts
        if name in given:
            effect = ", ".join(texts) or f"no effect: {option.reason}"
            lines.append(f"{name} = {' '.join(given[name][0].values)} -> {effect}")
        elif texts:
            defaults.append(f"{name} = {value} (SAFF's default) -> {', '.join(texts)}")
    datadir = given["datadir"][1] if "datadir" in given else None
    return Translation(path, tuple(assignments), (*lines, *defaults), Path(datadir) if datadir else None)


def _value(path: Path, entry: Entry) -> Any:
    if entry.key not in OPTIONS:
        raise UserError(f"{path}, line {entry.line}: {entry.key} is no option of SAFF; correct or remove it")
    expected, text = OPTIONS[entry.key].type, " ".join(entry.values)
    try:
        return expected.parse(text)
    except (ValueError, KeyError) as error:
        raise UserError(f"{path}, line {entry.line}: {entry.key} must be {expected.words}, got {text!r}") from error


def _literal(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
