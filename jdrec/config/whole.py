"""The whole configuration, made of its sections."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from jdrec.config.base import Section
from jdrec.config.dataset import DatasetConfig
from jdrec.config.engine import CompareConfig, EngineConfig
from jdrec.config.features import FeaturesConfig
from jdrec.config.model import ModelConfig
from jdrec.config.openmldb import DeployConfig, OpenMLDBConfig
from jdrec.config.preprocess import PreprocessConfig
from jdrec.config.serving import ServingConfig
from jdrec.config.trainer import TrainerConfig

STAGES = ("render", "check", "extract", "preprocess", "train", "evaluate", "export")
Task = Literal["render", "check", "extract", "preprocess", "train", "evaluate", "export", "deploy", "compare", "serve", "demo", "predict"]


class CacheConfig(Section, frozen=True, kw_only=True):
    dir: Annotated[str, Meta(description="Folder of stage results, keyed by what went into them.")] = "outputs/cache"
    enabled: Annotated[bool, Meta(description="Reuse results that are up to date.")] = True


class Config(Section, frozen=True, kw_only=True):
    task: Annotated[
        Task, Meta(description="How far to go: each stage runs those before it that it needs; or a verb that stands alone.")
    ] = "export"
    seed: Annotated[int, Meta(ge=0, description="Seed of splits, initial weights, dropout and shuffling.")] = 2016
    run: Annotated[str | None, Meta(description="Folder of an earlier run that evaluate, export, serve and predict use.")] = None
    request: Annotated[
        str | None, Meta(description="task=predict: JSON file with one request row or a list of them; '-' is standard input.")
    ] = None
    dataset: DatasetConfig
    features: FeaturesConfig
    openmldb: OpenMLDBConfig = OpenMLDBConfig()
    deploy: DeployConfig = DeployConfig()
    engine: EngineConfig = EngineConfig()
    compare: CompareConfig = CompareConfig()
    preprocess: PreprocessConfig = PreprocessConfig()
    model: ModelConfig = ModelConfig()
    trainer: TrainerConfig = TrainerConfig()
    serving: ServingConfig = ServingConfig()
    cache: CacheConfig = CacheConfig()
