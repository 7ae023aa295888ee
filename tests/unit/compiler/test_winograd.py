"""Winograd's matrices against direct sums, and bands against the images they are to cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.compiler.kernels import winograd
from tests.unit.compiler.test_kernels import LANES, check, conv_chain


@pytest.mark.parametrize("transform", [winograd.F2, winograd.F4], ids=["F2", "F4"])
def test_a_transformed_row_is_the_direct_sum(transform: winograd.Transform) -> None:
    row, taps = np.arange(1.0, transform.points + 1), np.array([2.0, -3.0, 5.0])
    products = (np.array(transform.data) @ row) * (np.array(transform.weights) @ taps)
    direct = [row[k : k + 3] @ taps for k in range(transform.tile)]
    assert np.allclose(np.array(transform.output) @ products, direct)


@given(
    height=st.integers(7, 300),
    width=st.integers(7, 300),
    channels=st.integers(2, 64),
    transform=st.sampled_from([winograd.F2, winograd.F4]),
)
def test_bands_cover_an_image_once(
    height: int, width: int, channels: int, transform: winograd.Transform
) -> None:
    bands = winograd.bands(transform, height, width, 16 * channels)
    down = bands.count // bands.across
    assert (down - 1) * bands.tall < height <= down * bands.tall
    assert (bands.across - 1) * bands.wide < width <= bands.across * bands.wide
    assert bands.tiles >= bands.rows * bands.columns


@pytest.mark.parametrize("cores", [1, 4])
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(
    ("channels", "out", "height", "width"),
    [(32, 32, 7, 8), (32, 64, 15, 14), (48, 48, 37, 30), (32, 32, 40, 66), (64, 32, 33, 21)],
    ids=["small", "one-band", "bands", "wide", "tiles-filled-up"],
)
def test_convolutions(
    channels: int, out: int, height: int, width: int, lanes: int, cores: int
) -> None:
    assert check(conv_chain(channels, out, height, width), lanes, cores) == []
