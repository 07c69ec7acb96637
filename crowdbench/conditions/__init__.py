"""Conditions: rules that cut one split into harder and harder parts.

A new condition is a `Condition` in a file of its own and its name in `CONDITIONS`.
"""

from crowdbench.conditions.condition import Condition
from crowdbench.conditions.crowding import (
    CROWD_INDEX,
    CROWD_LEVEL,
    IMAGE_IOU,
    MAX_IOU,
    PERSON_IOU,
)
from crowdbench.conditions.detector_confidence import DETECTOR_CONFIDENCE
from crowdbench.conditions.distance import DISTANCE
from crowdbench.conditions.joint_visibility import JOINT_VISIBILITY
from crowdbench.conditions.people import PEOPLE
from crowdbench.conditions.size import SIZE
from crowdbench.conditions.visibility import VISIBILITY

__all__ = ["CONDITIONS", "Condition"]

# In the order of tables and reports.
CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        DETECTOR_CONFIDENCE,
        PERSON_IOU,
        IMAGE_IOU,
        CROWD_LEVEL,
        CROWD_INDEX,
        MAX_IOU,
        PEOPLE,
        VISIBILITY,
        JOINT_VISIBILITY,
        SIZE,
        DISTANCE,
    )
}
