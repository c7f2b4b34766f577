"""The scores of a run as a table to read."""

from typing import Any

from rich.console import Console, Group
from rich.table import Table

_COLUMNS = {
    "psnr": ("PSNR dB", 2),
    "ssim": ("SSIM", 3),
    "ari": ("ARI", 3),
    "fg_ari": ("fg-ARI", 3),
    "fg_jaccard": ("fg J", 3),
    "fg_boundary_f": ("fg F", 3),
}
_LINES = {
    ("held_out", "static_psnr"): ("held-out frames, static part", "dB", 2),
    ("held_out", "moving_psnr"): ("held-out frames, moving part", "dB", 2),
    ("held_out", "full_psnr"): ("held-out frames, whole image", "dB", 2),
    ("held_out", "opaque_share"): ("held-out frames, opaque share", "", 3),
    ("page_codec", "psnr"): ("ten training views after the page's codec", "dB", 2),
    ("page_codec", "direct_psnr"): ("ten training views directly", "dB", 2),
    ("page_codec", "ceiling_psnr"): ("frames after the page's codec, its ceiling", "dB", 2),
    ("page_codec", "published", "SAFF", "psnr"): ("published SAFF after its codec, at 288 px", "dB", 2),
    ("davis", "jf_mean"): ("objects over the clip, J&F", "", 3),
    ("consistency", "times", "objects"): ("labels of objects kept from time to time", "", 3),
    ("consistency", "views", "objects"): ("labels of objects kept from view to view", "", 3),
    ("truth", "fg_iou"): ("true masks, foreground IoU", "", 3),
    ("truth", "ari"): ("true masks, ARI", "", 3),
    ("truth", "fg_ari"): ("true masks, fg-ARI", "", 3),
    ("depth_median_rel_error",): ("depth of novel views, median relative error", "", 4),
    ("flow_epe_median_moving",): ("optical flow of moving pixels, median EPE", "px", 3),
}


def results_table(results: dict[str, Any]) -> Group:
    """The splits as one table and the single figures as another; what was not scored is a dash or absent."""
    facts = [str(results[key]) for key in ("scene", "protocol", "device") if key in results]
    if "seconds" in results:
        facts.append(f"trained in {results['seconds']:.0f} s")
    splits = Table(title=", ".join(facts))
    splits.add_column("split")
    for title, _ in _COLUMNS.values():
        splits.add_column(title, justify="right")
    for split, scores in results.get("splits", {}).items():
        cells = (f"{scores[key]:.{digits}f}" if key in scores else "-" for key, (_, digits) in _COLUMNS.items())
        splits.add_row(split, *cells)
    single = Table(show_header=False)
    for path, (title, unit, digits) in _LINES.items():
        value: Any = results
        for key in path:
            value = value.get(key, {})
        if isinstance(value, float):
            single.add_row(title, f"{value:.{digits}f} {unit}".strip())
    return Group(*(table for table in (splits, single) if table.row_count))


def print_table(results: dict[str, Any], console: Console | None = None) -> None:
    """Print the scores."""
    (console or Console()).print(results_table(results))
