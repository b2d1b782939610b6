"""Densities that lean inside a bin, as its neighbours suggest: post-processing of the records being drawn.

Inside a bin, at the share t of its width, the density is 1 + s (t - 1/2) times the bin's own, -2 <= s <= 2: never below 0, and the bin
keeps its rows. The slope is the monotonised central difference of the neighbouring bins' densities: 0 in a bin that is fuller, or
emptier, than both.
Source: van Leer, "Towards the ultimate conservative difference scheme IV", J. Comput. Phys. 23 (1977), 276-299.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def slopes(counts: Floats, starts: Floats, ends: Floats) -> Floats:
    """float64[bins]: s of each bin. counts: rows of each; starts, ends: where it begins and ends, in their order."""
    if len(counts) < 2:
        return np.zeros(len(counts))
    width, apart = ends - starts, np.diff((starts + ends) / 2)
    density = counts / width
    rise = np.diff(density) / apart
    left, right = np.r_[rise[:1], rise], np.r_[rise, rise[-1:]]  # the outermost bins have one neighbour: it counts twice
    before, after = np.r_[apart[:1], apart], np.r_[apart, apart[-1:]]
    central = (left * before + right * after) / (before + after)
    limit = 2 * np.minimum(np.abs(left) * before, np.abs(right) * after) / width
    steep = np.where(left * right > 0, np.sign(central) * np.minimum(np.abs(central), limit), 0.0)
    return np.clip(np.divide(steep * width, density, out=np.zeros(len(counts)), where=density > 0), -2.0, 2.0)


def places(share: Floats, lean: Floats) -> Floats:
    """float64[rows]: where in its bin a row lies, as a share of the width: t with t + s (t^2 - t) / 2 = share."""
    straight = 1 - lean / 2
    root = straight + np.sqrt(straight**2 + 2 * lean * share)
    return np.divide(2 * share, root, out=np.zeros(len(share)), where=root > 0)
