import numpy as np
import pytest

from saff_fast.scene.synthetic.shapes import Box, Capsule, Ellipsoid

SHAPES = {
    "ellipsoid": Ellipsoid((0.5, 0.9, 0.7)),
    "box": Box((0.4, 0.8, 0.6)),
    "capsule": Capsule(0.3, 0.5),
}


def distance(shape, points):
    """A function that is negative inside the shape, zero on its surface."""
    if isinstance(shape, Ellipsoid):
        return np.linalg.norm(points / shape.radii, axis=-1) - 1
    if isinstance(shape, Box):
        return (np.abs(points) - shape.half).max(-1)
    axis = points * (0, 1, 0)
    axis = axis.clip(-shape.half_length, shape.half_length)
    return np.linalg.norm(points - axis, axis=-1) - shape.radius


def random_rays(n=400):
    random = np.random.default_rng(0)
    origins = random.normal(size=(n, 3))
    origins *= 3 / np.linalg.norm(origins, axis=-1, keepdims=True)
    return origins, random.uniform(-0.8, 0.8, size=(n, 3)) - origins


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_entry_agrees_with_marching(shape):
    origins, directions = random_rays()
    entry = shape.enter(origins, directions)
    steps = np.linspace(0, 2, 4001)
    inside = distance(shape, origins[:, None] + steps[:, None] * directions[:, None]) < 0
    marched = np.where(inside.any(-1), steps[inside.argmax(-1)], np.inf)
    both = np.isfinite(entry) & np.isfinite(marched)
    assert 0.3 < both.mean() < 0.95
    np.testing.assert_allclose(entry[both], marched[both], atol=6e-4)
    assert (np.isfinite(entry) != np.isfinite(marched)).mean() < 0.01  # rays that graze between two steps
    surface = origins[both] + entry[both, None] * directions[both]
    np.testing.assert_allclose(distance(shape, surface), 0, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_normals_are_the_gradient_and_face_the_ray(shape):
    origins, directions = random_rays()
    entry = shape.enter(origins, directions)
    hit = np.isfinite(entry)
    points = origins[hit] + entry[hit, None] * directions[hit]
    normals = shape.normals(points)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1)
    assert ((normals * directions[hit]).sum(-1) < 0).all()
    step = 1e-6
    gradient = [distance(shape, points + step * e) - distance(shape, points - step * e) for e in np.eye(3)]
    gradient = np.stack(gradient, axis=-1)
    gradient /= np.linalg.norm(gradient, axis=-1, keepdims=True)
    np.testing.assert_allclose(normals, gradient, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_rays_along_an_axis_and_behind(shape):
    origins = np.array([[0.0, -4.0, 0.0], [0.0, -4.0, 0.0], [5.0, 0.0, 0.0]])
    directions = np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    top = {"ellipsoid": 0.9, "box": 0.8, "capsule": 0.8}[type(shape).__name__.lower()]
    np.testing.assert_allclose(shape.enter(origins, directions), [4 - top, np.inf, np.inf])
    assert shape.bound >= top
