"""Feature studies: the values that `features.drop` and `features.select` go through."""

from __future__ import annotations

import json
from typing import Any


def drop_one(*, _root_: Any) -> str:
    """Nothing dropped, then each field of the model: an override's choice, for hydra.sweeper.params."""
    config, fields = _look(_root_)
    dropped = _names(config.features.drop)
    return _choice([dropped, *([*dropped, name] for name in fields)])


def add_one(*, _root_: Any) -> str:
    """The fields of features.select with each of the others; each field alone where features.select is not given."""
    from omegaconf import OmegaConf

    config, _ = _look(_root_)
    selected = _names(config.features.select)
    everything = OmegaConf.masked_copy(_root_, [key for key in _root_ if key != "hydra"])
    OmegaConf.update(everything, "features.select", [], merge=False)
    _, fields = _look(everything)
    others = [name for name in fields if name not in selected]
    return _choice([*([selected] if selected else []), *([*selected, name] for name in others)])


def register() -> None:
    """Makes both known to OmegaConf as ${jdrec.drop_one:} and ${jdrec.add_one:}."""
    from omegaconf import OmegaConf

    for name, resolver in (("jdrec.drop_one", drop_one), ("jdrec.add_one", add_one)):
        OmegaConf.register_new_resolver(name, resolver, replace=True)


def _look(root: Any) -> tuple[Any, list[str]]:
    """The configuration, and the names of the model's fields that it gives."""
    from omegaconf import OmegaConf

    from jdrec.composition import typed
    from jdrec.features.resolve import resolve

    config = typed(OmegaConf.masked_copy(root, [key for key in root if key != "hydra"]))
    return config, [feature.name for feature in resolve(config).fields]


def _names(value: Any) -> list[str]:
    from jdrec.config import names

    return names(value)


def _choice(lists: list[list[str]]) -> str:
    return ",".join(json.dumps(names).replace('"', "").replace(" ", "") for names in lists)
