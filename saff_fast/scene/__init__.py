"""Scene folders on disk, the scene in memory, the synthetic scene and the pixel sampler."""
