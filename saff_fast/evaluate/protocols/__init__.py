"""The named protocols, one a module."""

from saff_fast.evaluate.protocols import (
    davis_uvos,
    dycheck,
    holdout,
    nsff_264,
    page_codec,
    saff_clean,
    saff_official,
)

DEFAULT_PROTOCOL = saff_clean.PROTOCOL.name
PROTOCOLS = {
    module.PROTOCOL.name: module.PROTOCOL
    for module in (saff_clean, saff_official, nsff_264, dycheck, holdout, page_codec, davis_uvos)
}
"""By name; the name stands in the JSON."""
