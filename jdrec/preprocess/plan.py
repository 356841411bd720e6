"""What the samples will look like: label, fields with their encodings, kept columns and their names; settled before data are read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from jdrec.config import PreprocessConfig, names
from jdrec.errors import ConfigError, nearest
from jdrec.features.expression import Column
from jdrec.features.spec import Encoding, Feature, FeatureSet, Kind
from jdrec.features.types import SqlType
from jdrec.preprocess.encoder import Field

KEEP_PREFIX = "keep_"


@dataclass(frozen=True)
class Plan:
    """The layout of the samples.

    Attributes:
        fields: the model's inputs in order; nothing is learnt about them yet.
        features: the feature that each is made from; a list's fills several fields, one a place.
        keep: kept feature to its column in the samples.
        time: the feature that is the row's request time, if there is one.
    """

    label: Feature
    label_column: str
    fields: tuple[Field, ...]
    features: tuple[Feature, ...]
    keep: dict[str, str]
    time: Feature | None

    @property
    def inputs(self) -> list[str]:
        """The columns of the features file that are encoded or kept, each once."""
        return list(dict.fromkeys([field.feature for field in self.fields] + list(self.keep)))


def make_plan(feature_set: FeatureSet, config: PreprocessConfig) -> Plan:
    """Settles the layout.

    Raises:
        ConfigError: there is no label or no field, an encoding does not fit its feature, a kept column is unknown, two columns of
            the samples would have one name, or the split needs the request's time and no feature is it.
    """
    label = _label(feature_set)
    features = feature_set.fields
    if not features:
        raise ConfigError("no feature is a field of the model.", where="features.features", hint="Give features another kind than drop.")
    encodings = [_encoding(feature, config) for feature in features]
    tutorial = config.columns == "tutorial"
    columns = _tutorial_columns(features) if tutorial else [feature.name for feature in features]
    keep = {name: KEEP_PREFIX + name for name in names(config.keep)}
    for name in keep:
        if name not in feature_set.by_name:
            raise ConfigError(f"there is no feature {name!r}.", where="preprocess.keep", hint=nearest(name, feature_set.by_name))
    label_column = "Label" if tutorial else label.name
    fields: list[Field] = []
    of: list[Feature] = []
    for feature, column, encoding in zip(features, columns, encodings, strict=True):
        if encoding is Encoding.LIST:
            places = range(feature.slots)
            fields += [
                Field(f"{feature.name}[{i}]", f"{column}_{i + 1}", feature.type, encoding, list_of=feature.name, place=i) for i in places
            ]
        else:
            fields.append(Field(feature.name, column, feature.type, encoding))
        of += [feature] * feature.slots
    written = [label_column, *(field.sample_column for field in fields), *keep.values()]
    twice = [name for name, count in Counter(written).items() if count > 1]
    if twice:
        raise ConfigError(f"two columns of the samples would be named {twice[0]!r}.", where="preprocess.keep")
    return Plan(label, label_column, tuple(fields), tuple(of), keep, _time(feature_set, config))


def _label(feature_set: FeatureSet) -> Feature:
    if feature_set.label is None:
        raise ConfigError("samples need a label.", where="features.label", hint="Name the feature that is predicted.")
    label = feature_set.by_name[feature_set.label.feature]
    if not (label.type.is_number or label.type is SqlType.BOOL):
        raise ConfigError(f"the label is a {label.type.value}; it has to be a number, 0 or 1.", where=label.path)
    return label


def _encoding(feature: Feature, config: PreprocessConfig) -> Encoding:
    encoding = feature.encoding or (config.numeric if feature.kind is Kind.NUMERIC else Encoding.HASH)
    if encoding is Encoding.LIST and config.encoding == "tutorial":
        raise ConfigError("the tutorial's encoding has no lists.", where=feature.path, hint="Use preprocess.encoding=canonical.")
    if encoding not in (Encoding.HASH, Encoding.LIST) and not feature.type.is_number:
        hint = "Leave its encoding out, or take hash."
        raise ConfigError(f"encoding {encoding.value} is for numbers, and this is a {feature.type.value}.", where=feature.path, hint=hint)
    return encoding


def _tutorial_columns(features: tuple[Feature, ...]) -> list[str]:
    """I1, I2, ... for numeric features and C1, C2, ... for categorical ones."""
    counts = {Kind.NUMERIC: 0, Kind.CATEGORICAL: 0}
    columns = []
    for feature in features:
        counts[feature.kind] += 1
        columns.append(f"{'I' if feature.kind is Kind.NUMERIC else 'C'}{counts[feature.kind]}")
    return columns


def _time(feature_set: FeatureSet, config: PreprocessConfig) -> Feature | None:
    for feature in feature_set.features:
        plain = isinstance(feature.node, Column) and feature.node.name == feature_set.request_time and not feature.node.table
        if plain and feature.window is None and feature.join is None:
            return feature
    horizon = feature_set.label is not None and feature_set.label.horizon_ms is not None
    if config.split.by == "time" or horizon:
        need, where = ("the label's horizon", "features.label.horizon") if horizon else ("a split by time", "preprocess.split.by")
        raise ConfigError(
            f"{need} needs the request's time, and no feature is it.",
            where=where,
            hint=f"Add to features.features: request_time: {{expr: {feature_set.request_time}, kind: drop}}",
        )
    return None
