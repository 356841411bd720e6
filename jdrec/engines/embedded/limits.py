"""What the language has and this engine has not, refused before data are read."""

from __future__ import annotations

from jdrec.errors import CheckError
from jdrec.features.spec import FeatureSet

OTHER_ENGINES = "OpenMLDB itself (engine=openmldb or engine=spark) has it."


def check_limits(feature_set: FeatureSet) -> None:
    """Refuses features that are SQL which this engine does not read.

    Raises:
        CheckError: with the feature's path.
    """
    for feature in feature_set.features:
        if feature.openmldb_only:
            raise refuse(feature.path, "SQL that is openmldb_only")


def refuse(where: str, what: str) -> CheckError:
    """The error for something that this engine does not compute, with the engines that do."""
    return CheckError(f"the embedded engine does not compute {what}.", where=where, hint=OTHER_ENGINES)
