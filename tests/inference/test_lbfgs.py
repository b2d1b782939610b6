from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from dpsynth.inference import lbfgs
from dpsynth.inference.lbfgs import Memory, search


@dataclass(frozen=True, eq=False)
class Point:
    theta: np.ndarray
    value: float
    gradient: np.ndarray


def quadratic(size, seed):
    """theta -> the point of 1/2 theta' A theta - b' theta, with A of eigenvalues from 1 to 1,000."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(size, size)))[0]
    matrix, right = turn * np.geomspace(1, 1000, size) @ turn.T, rng.normal(size=size)
    return lambda theta: Point(theta, float(0.5 * theta @ matrix @ theta - right @ theta), matrix @ theta - right), matrix, right


def descended(at, weights, steps, metric=lambda vector: 0.01 * vector):
    memory, points = Memory(weights), [at(np.zeros(len(weights)))]
    for _ in range(steps):
        point, _ = search(at, points[-1], -memory.times(points[-1].gradient, metric))
        memory.add(point.theta - points[-1].theta, point.gradient - points[-1].gradient)
        points.append(point)
    return memory, points


@pytest.mark.parametrize("steps", [1, 4, 9])
def test_the_last_change_of_gradient_is_mapped_to_the_last_step(steps):
    at, _, _ = quadratic(12, 0)
    memory, points = descended(at, np.ones(12), steps)
    found = memory.times(points[-1].gradient - points[-2].gradient, lambda vector: 0.5 * vector)
    np.testing.assert_allclose(found, points[-1].theta - points[-2].theta, rtol=1e-5)  # pairs are held in single precision


def test_it_descends_to_the_minimum():
    at, matrix, right = quadratic(30, 1)
    _, points = descended(at, np.ones(30), 150)
    np.testing.assert_allclose(points[-1].theta, np.linalg.solve(matrix, right), atol=1e-3)
    assert all(b.value <= a.value + 1e-12 for a, b in pairwise(points))


@pytest.mark.parametrize("steps", [2, 5, 11])
def test_the_mean_of_the_points_held_has_the_least_gradient(steps):
    at, _, _ = quadratic(20, 2)
    weights = np.random.default_rng(3).uniform(0.1, 10, 20)
    memory, points = descended(at, weights, steps)
    less, factors = memory.mean(points[-1].gradient)
    held = points[-min(steps, lbfgs.MEMORY) - 1 :]
    changes = np.stack([b.gradient - a.gradient for a, b in pairwise(held)], axis=1) / np.sqrt(weights)[:, None]
    last = points[-1].gradient / np.sqrt(weights)
    least = last - changes @ np.linalg.lstsq(changes, last, rcond=None)[0]
    mean = at(memory.moved(points[-1].theta, factors))
    assert (mean.gradient**2 / weights).sum() == pytest.approx(float(least @ least), rel=1e-3)
    assert (last @ last) - less == pytest.approx(float(least @ least), rel=1e-3)
    assert (mean.gradient**2 / weights).sum() < min((p.gradient**2 / weights).sum() for p in held)
