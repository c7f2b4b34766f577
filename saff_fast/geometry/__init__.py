"""Cameras, rays, spaces, projection.

Conventions, everywhere inside: OpenCV camera axes (x right, y down, z forward), camera-to-world matrices, pixel centres
at +0.5, so that pixel (row i, column j) is seen along `((j + 0.5 - cx) / fx, (i + 0.5 - cy) / fy, 1)`. Lengths are in
scene units; time is a frame index. The scene reader converts the published LLFF files, in one place.
"""
