"""Data sets: their facts, their files, and the splits made from them."""

from crowdbench.datasets.boxes import load_boxes
from crowdbench.datasets.image_files import image_path, read_image
from crowdbench.datasets.loading import load_own, load_split
from crowdbench.datasets.manifest import data_root, find_split, load_manifests, split_names
from crowdbench.datasets.split import Split

__all__ = [
    "Split",
    "data_root",
    "find_split",
    "image_path",
    "load_boxes",
    "load_manifests",
    "load_own",
    "load_split",
    "read_image",
    "split_names",
]
