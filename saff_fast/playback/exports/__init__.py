"""Files for other programs: point clouds, masks, tracks, depth, cameras."""
