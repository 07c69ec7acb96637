"""The recipes by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from crowdbench.errors import UnknownNameError
from predictors.training.bottomup_recipes import BOTTOM_UP
from predictors.training.pose_recipes import POSES
from predictors.training.recipe import Recipe
from predictors.training.space_recipes import IN_SPACE
from predictors.training.topdown_recipes import TOP_DOWN

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {recipe.name: recipe for recipe in (*TOP_DOWN, *BOTTOM_UP, *POSES, *IN_SPACE)}
)


def find_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        UnknownNameError: if there is none.

    >>> find_recipe("mipnet-hrnet-w48-384x288").falls
    (70, 100)
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]
