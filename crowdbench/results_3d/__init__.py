"""Files of 3D poses: 3DMPPE's pair of .mat files, .npz and JSON, read and written."""

from crowdbench.results_3d.reading import Results3D, read_poses_3d
from crowdbench.results_3d.writing import write_poses_3d

__all__ = ["Results3D", "read_poses_3d", "write_poses_3d"]
