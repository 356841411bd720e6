"""The whole configuration, made of its sections."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from jdrec.config.base import Names, Section
from jdrec.config.dataset import DatasetConfig
from jdrec.config.engine import CompareConfig, EngineConfig
from jdrec.config.evaluate import EvaluateConfig
from jdrec.config.features import FeaturesConfig
from jdrec.config.init import InitConfig
from jdrec.config.model import ModelConfig
from jdrec.config.online import OnlineConfig
from jdrec.config.openmldb import DeployConfig, OpenMLDBConfig
from jdrec.config.preprocess import PreprocessConfig
from jdrec.config.report import ImportanceConfig, ReportConfig
from jdrec.config.score import ScoreConfig
from jdrec.config.serving import ServingConfig
from jdrec.config.tracking import CacheConfig, LeaderboardConfig, TrackingConfig
from jdrec.config.trainer import TrainerConfig
from jdrec.config.verify import VerifyConfig

STAGES = ("render", "check", "extract", "preprocess", "train", "evaluate", "export", "report")
Task = Literal[
    "render",
    "check",
    "extract",
    "preprocess",
    "train",
    "evaluate",
    "export",
    "report",
    "deploy",
    "compare",
    "serve",
    "demo",
    "predict",
    "publish",
    "reload",
    "rollback",
    "feature_server",
    "verify",
    "score",
    "importance",
    "runs",
    "diff",
    "cache",
    "doctor",
    "init",
]


class Config(Section, frozen=True, kw_only=True):
    task: Annotated[
        Task, Meta(description="How far to go: each stage runs those before it that it needs; or a verb that stands alone.")
    ] = "report"
    dry: Annotated[bool, Meta(description="Only say which stages would run, and why.")] = False
    seed: Annotated[int, Meta(ge=0, description="Seed of splits, initial weights, dropout and shuffling.")] = 2016
    run: Annotated[str | None, Meta(description="Folder of an earlier run that evaluate, export, report, serve and predict use.")] = None
    runs: Annotated[Names, Meta(description="task=diff: the folders of two runs; task=runs: folders to look into, outputs by default.")] = (
        field(default_factory=list)
    )
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
    evaluate: EvaluateConfig = EvaluateConfig()
    online: OnlineConfig = field(default_factory=OnlineConfig)
    serving: ServingConfig = ServingConfig()
    verify: VerifyConfig = VerifyConfig()
    score: ScoreConfig = ScoreConfig()
    report: ReportConfig = ReportConfig()
    importance: ImportanceConfig = ImportanceConfig()
    cache: CacheConfig = CacheConfig()
    leaderboard: LeaderboardConfig = LeaderboardConfig()
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    init: InitConfig = InitConfig()
