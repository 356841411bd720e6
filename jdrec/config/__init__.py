"""The typed, strict schema of all configuration; every key has its type, its default and a description.

`docs/reference.md` is generated from it. Hydra composes the YAML; `load` turns the result into a `Config` or one clear error. A file
holds one section, named as in the YAML; `whole.py` puts them together.
"""

from jdrec.config.base import Names, PositiveInt, Section, names
from jdrec.config.dataset import AdGeneratorConfig, DatasetConfig, GeneratorConfig, JdGeneratorConfig, TableConfig
from jdrec.config.engine import CompareConfig, EngineConfig, EngineName
from jdrec.config.features import Exclude, FeatureConfig, FeaturesConfig, JoinConfig, LabelConfig, QueryConfig, RequestConfig, WindowConfig
from jdrec.config.load import defaults, load
from jdrec.config.model import ModelConfig
from jdrec.config.openmldb import ClusterConfig, DeployConfig, OpenMLDBConfig
from jdrec.config.preprocess import PreprocessConfig, SplitConfig
from jdrec.config.serving import DynamicBatchingConfig, ServingConfig, TritonConfig
from jdrec.config.trainer import EarlyStopConfig, LearningRateDecayConfig, OneEmbeddingConfig, TrainerConfig
from jdrec.config.whole import STAGES, CacheConfig, Config, Task

__all__ = [
    "STAGES",
    "AdGeneratorConfig",
    "CacheConfig",
    "ClusterConfig",
    "CompareConfig",
    "Config",
    "DatasetConfig",
    "DeployConfig",
    "DynamicBatchingConfig",
    "EarlyStopConfig",
    "EngineConfig",
    "EngineName",
    "Exclude",
    "FeatureConfig",
    "FeaturesConfig",
    "GeneratorConfig",
    "JdGeneratorConfig",
    "JoinConfig",
    "LabelConfig",
    "LearningRateDecayConfig",
    "ModelConfig",
    "Names",
    "OneEmbeddingConfig",
    "OpenMLDBConfig",
    "PositiveInt",
    "PreprocessConfig",
    "QueryConfig",
    "RequestConfig",
    "Section",
    "ServingConfig",
    "SplitConfig",
    "TableConfig",
    "Task",
    "TrainerConfig",
    "TritonConfig",
    "WindowConfig",
    "defaults",
    "load",
    "names",
]
