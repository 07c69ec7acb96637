"""From what 3DMPPE's networks say about a crop to the person in front of the camera.

All in float64. Points of maps are counted as the networks do: x, y in pixels of the map, depth in
bins, all from 0.
"""

from __future__ import annotations

import numpy as np

from crowdbench.structures import Array, Images

# What the bins of depth cover: so far in front of the root and behind it.
HALF_DEPTH_MM = 1000.0
# Of a camera that nobody knows, in pixels; its centre is that of the image.
ASSUMED_FOCAL = 1500.0
# Persons are as if their enlarged boxes were so wide and high.
BOX_MM = 2000.0


def flip_averaged(direct: Array, mirrored: Array, partners: Array, width: int) -> Array:
    """Return (N, K, 3): the means of the points in crops and of those in their mirror images.

    Args:
        direct: (N, K, 3) x, y and bin of depth in the crops' maps.
        mirrored: the same of the mirrored crops.
        partners: (K,) the joint on the other side of the body, or the joint itself.
        width: of the maps.

    Source: the official test program; it averages coordinates, not volumes.

    >>> direct = np.array([[[10.0, 5, 30], [40, 6, 31]]])
    >>> mirrored = np.array([[[22.0, 6, 33], [55, 5, 30]]])
    >>> flip_averaged(direct, mirrored, np.array([1, 0]), 64).tolist()
    [[[9.0, 5.0, 30.0], [40.5, 6.0, 32.0]]]
    """
    back = mirrored[:, partners]
    back[..., 0] = width - 1 - back[..., 0]
    averaged: Array = (direct + back) / 2
    return averaged


def to_image(points: Array, boxes: Array, map_size: tuple[int, int]) -> Array:
    """Return (N, K, 2) pixels of the image.

    Args:
        points: (N, K, 2) x, y in pixels of the maps.
        boxes: (N, 4) xywh that the crops show.
        map_size: height and width of the maps.

    >>> to_image(np.array([[[32.0, 16]]]), np.array([[-25.0, 10, 100, 100]]), (64, 64)).tolist()
    [[[25.0, 35.0]]]
    """
    pixels: Array = points / np.array(map_size[::-1]) * boxes[:, None, 2:] + boxes[:, None, :2]
    return pixels


def depths_of(bins: Array, n_bins: int, roots: Array) -> Array:
    """Return (N, K) mm from the camera.

    Args:
        bins: (N, K) bins of depth, the first the nearest.
        n_bins: how many there are.
        roots: (N,) mm from the camera, of the root. The bin of the root joint itself does not
            enter.

    >>> depths_of(np.array([[32.0, 16]]), 64, np.array([3000.0])).tolist()
    [[3000.0, 2500.0]]
    """
    return (bins / n_bins * 2 - 1) * HALF_DEPTH_MM + roots[:, None]


def bins_of(depths: Array, n_bins: int) -> Array:
    """Return (...) float64 bins of depth, between 0 and `n_bins` in the volume.

    Args:
        depths: (...) mm behind the root.
        n_bins: how many there are.

    >>> bins_of(np.array([-1000.0, 0, 500]), 32).tolist()
    [0.0, 16.0, 24.0]
    """
    bins: Array = (depths / HALF_DEPTH_MM + 1) / 2 * n_bins
    return bins


def to_camera(points: Array, depths: Array, cameras: Array) -> Array:
    """Return (N, K, 3) mm in the axes of the camera.

    Args:
        points: (N, K, 2) pixels of the image.
        depths: (N, K) mm.
        cameras: (N, 4) fx, fy, cx, cy; see `crowdbench.structures.Images.intrinsics`.

    >>> points, depths = np.array([[[1060.0, 440]]]), np.array([[3000.0]])
    >>> to_camera(points, depths, np.array([[1500.0, 1000, 960, 540]])).tolist()
    [[[200.0, -300.0, 3000.0]]]
    """
    focal, centre = cameras[:, None, :2], cameras[:, None, 2:]
    across = (points - centre) / focal * depths[..., None]
    return np.concatenate([across, depths[..., None]], axis=-1)


def cameras_of(intrinsics: Array | None, rows: Array, sizes: Array) -> Array:
    """Return (N, 4) float64 fx, fy, cx, cy: the known cameras, and assumed ones for the others.

    Args:
        intrinsics: `crowdbench.structures.Images.intrinsics`.
        rows: (N,) which image each person is in.
        sizes: (N, 2) width and height of that image, pixels.

    Source: the official demo, for images of which nothing is known.
    """
    assumed = np.concatenate([np.full((len(rows), 2), ASSUMED_FOCAL), sizes / 2], axis=1)
    if intrinsics is None:
        return assumed
    known = intrinsics[rows]
    return np.where(np.isnan(known).any(1, keepdims=True), assumed, known)


def camera_notes(images: Images, instead: str) -> tuple[str, ...]:
    """Return what to say about images whose camera is not known: nothing or one sentence.

    Args:
        images: those of the split.
        instead: what is done without one, as a clause.
    """
    n = images.n_without_camera
    note = f"the camera of {n:,} of {len(images):,} images is not known: {instead}"
    return (note,) if n else ()


def root_depths(gammas: Array, boxes: Array, cameras: Array) -> Array:
    """Return (N,) mm from the camera, of the root, by RootNet: gamma * k.

    Args:
        gammas: (N,) what RootNet corrects k by.
        boxes: (N, 4) xywh that the crops show, enlarged.
        cameras: (N, 4) fx, fy, cx, cy.

    >>> box, camera = np.array([[0.0, 0, 300, 300]]), np.array([[1500.0, 1500, 960, 540]])
    >>> root_depths(np.array([0.5]), box, camera).tolist()
    [5000.0]
    """
    return gammas * k_of(boxes, cameras)


def k_of(boxes: Array, cameras: Array) -> Array:
    """Return (N,) mm: the distance at which each box would be 2 m wide and high, RootNet's k.

    Args:
        boxes: (N, 4) xywh that the crops show, enlarged.
        cameras: (N, 4) fx, fy, cx, cy; NaN gives NaN.
    """
    k: Array = np.sqrt(BOX_MM**2 * cameras[:, :2].prod(1) / boxes[:, 2:].prod(1))
    return k
