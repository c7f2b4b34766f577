"""Keys of the configuration that make a run a matter of seconds."""

TINY = (
    "train.height=36",
    "train.steps=20",
    "train.rays=256",
    "train.moving_rays=64",
    "train.preview_every=0",
    "field.static.log2_table_size=10",
    "field.dynamic.log2_table_size=10",
    "occupancy.resolution=16",
)
