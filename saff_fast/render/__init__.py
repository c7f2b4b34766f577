"""Occupancy, marching, compositing, view lists, images."""
