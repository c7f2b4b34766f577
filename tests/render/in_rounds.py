"""Renders in rounds, composited as training does it."""

from dataclasses import fields

from saff_fast.render.compositing import composite_joint
from saff_fast.render.rounds import rounds
from saff_fast.types import RenderOutputs


def render_in_rounds(renderer, rays, *limits):
    """The sums of all rounds; all rays look at the time of the first."""
    sums, time = {}, float(rays.frames[:1].sum())
    for part in rounds(renderer.occupancy, renderer.ask, rays, time, *limits):
        asked = part.fields
        outputs, *_ = composite_joint(asked.static, asked.dynamic, asked.samples, asked.lengths, renderer.semantics)
        for field in fields(RenderOutputs):
            values = getattr(outputs, field.name)
            rows = values * part.transmittance.reshape(-1, *[1] * (values.dim() - 1))
            empty = rows.new_zeros(len(rays), *rows.shape[1:])
            sums[field.name] = sums.get(field.name, empty).index_add(0, part.active, rows)
    return RenderOutputs(**sums)
