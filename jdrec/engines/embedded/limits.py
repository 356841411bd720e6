"""What the language has and this engine has not, refused before data are read."""

from __future__ import annotations

from collections.abc import Iterator

from jdrec.errors import CheckError
from jdrec.features.spec import Feature, FeatureSet

OTHER_ENGINES = "OpenMLDB itself (engine=openmldb or engine=spark) has it."


def check_limits(feature_set: FeatureSet) -> None:
    """Refuses what this engine does not compute.

    Raises:
        CheckError: with the feature's path.
    """
    for block in feature_set.blocks:
        for feature in block.features:
            for what in _lacking(feature):
                raise CheckError(f"the embedded engine has not {what}.", where=feature.path, hint=OTHER_ENGINES)


def _lacking(feature: Feature) -> Iterator[str]:
    if feature.openmldb_only:
        yield "SQL that is openmldb_only"
