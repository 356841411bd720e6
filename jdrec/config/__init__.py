"""The typed, strict schema of all configuration; every key has its type, its default and a description.

`docs/reference.md` is generated from it. Hydra composes the YAML; `load` turns the result into a `Config` or one clear error. A file
holds one section, named as in the YAML; `whole.py` puts them together.
"""

from jdrec.config.base import Names, PositiveInt, Section, names
from jdrec.config.dataset import AdGeneratorConfig, DatasetConfig, GeneratorConfig, JdGeneratorConfig, TableConfig
from jdrec.config.engine import CompareConfig, EngineConfig, EngineName
from jdrec.config.evaluate import EvaluateConfig
from jdrec.config.features import Exclude, FeatureConfig, FeaturesConfig, JoinConfig, LabelConfig, QueryConfig, RequestConfig, WindowConfig
from jdrec.config.init import InitConfig
from jdrec.config.load import defaults, load
from jdrec.config.model import ModelConfig
from jdrec.config.online import FeatureServerConfig, OnlineConfig, TtlConfig
from jdrec.config.openmldb import ClusterConfig, DeployConfig, OpenMLDBConfig
from jdrec.config.preprocess import PreprocessConfig, SplitConfig
from jdrec.config.report import ImportanceConfig, ReportConfig
from jdrec.config.score import ScoreConfig
from jdrec.config.serving import (
    AccessLogConfig,
    BatchingConfig,
    CandidatesConfig,
    DynamicBatchingConfig,
    RequestLogConfig,
    ServingConfig,
    TritonConfig,
)
from jdrec.config.tracking import CacheConfig, LeaderboardConfig, MlflowConfig, TensorboardConfig, TrackingConfig
from jdrec.config.trainer import EarlyStopConfig, LearningRateDecayConfig, OneEmbeddingConfig, TrainerConfig
from jdrec.config.verify import VerifyConfig
from jdrec.config.whole import STAGES, Config, Task

__all__ = [
    "STAGES",
    "AccessLogConfig",
    "AdGeneratorConfig",
    "BatchingConfig",
    "CacheConfig",
    "CandidatesConfig",
    "ClusterConfig",
    "CompareConfig",
    "Config",
    "DatasetConfig",
    "DeployConfig",
    "DynamicBatchingConfig",
    "EarlyStopConfig",
    "EngineConfig",
    "EngineName",
    "EvaluateConfig",
    "Exclude",
    "FeatureConfig",
    "FeatureServerConfig",
    "FeaturesConfig",
    "GeneratorConfig",
    "ImportanceConfig",
    "InitConfig",
    "JdGeneratorConfig",
    "JoinConfig",
    "LabelConfig",
    "LeaderboardConfig",
    "LearningRateDecayConfig",
    "MlflowConfig",
    "ModelConfig",
    "Names",
    "OneEmbeddingConfig",
    "OnlineConfig",
    "OpenMLDBConfig",
    "PositiveInt",
    "PreprocessConfig",
    "QueryConfig",
    "ReportConfig",
    "RequestConfig",
    "RequestLogConfig",
    "ScoreConfig",
    "Section",
    "ServingConfig",
    "SplitConfig",
    "TableConfig",
    "Task",
    "TensorboardConfig",
    "TrackingConfig",
    "TrainerConfig",
    "TritonConfig",
    "TtlConfig",
    "VerifyConfig",
    "WindowConfig",
    "defaults",
    "load",
    "names",
]
