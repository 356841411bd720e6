"""Configuration of the tasks that look at runs and at the cache of results."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from jdrec.config.base import Names, Section


class CacheConfig(Section, frozen=True, kw_only=True):
    dir: Annotated[str, Meta(description="Folder of stage results, keyed by what went into them.")] = "outputs/cache"
    enabled: Annotated[bool, Meta(description="Reuse results that are up to date.")] = True
    prune: Annotated[
        bool, Meta(description="task=cache: remove the results that older_than, larger_than and what killed runs left say; false: list.")
    ] = False
    older_than: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9]+[smhd]$")] | None,
        Meta(description="task=cache: results not used for so long, e.g. 30d; 0s is all of them."),
    ] = None
    max_size_mb: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="task=cache: the least recently used results beyond this size of the whole cache, MiB."),
    ] = None


class LeaderboardConfig(Section, frozen=True, kw_only=True):
    """task=runs."""

    sort: Annotated[str, Meta(description="Metric that orders the runs, e.g. valid.auc, test.logloss, seconds or started.")] = "valid.auc"
    ascending: Annotated[
        bool | None, Meta(description="Smallest first; by default as the metric is better: logloss and seconds ascend.")
    ] = None
    where: Annotated[
        Names, Meta(description="Only runs whose configuration fits, as patterns of key=value: 'model.name=deepfm', 'trainer.*=1e-3'.")
    ] = field(default_factory=list)
    columns: Annotated[Names, Meta(description="Further columns: metrics, or keys of the configuration, e.g. trainer.learning_rate.")] = (
        field(default_factory=list)
    )
    csv: Annotated[str | None, Meta(description="Write the table to this CSV file, too.")] = None
    limit: Annotated[int, Meta(ge=1, description="Most runs printed.")] = 50


class MlflowConfig(Section, frozen=True, kw_only=True):
    """Needs the extra mlflow."""

    enabled: Annotated[bool, Meta(description="Log every run that records itself to MLflow, while it goes on and when it ends.")] = False
    uri: Annotated[
        str,
        Meta(description="Tracking store: a local database by default, or http://HOST:PORT of a server. No other address is asked."),
    ] = "sqlite:///outputs/mlflow.db"
    experiment: Annotated[str | None, Meta(description="MLflow's experiment; by default the name in +experiment=NAME.")] = None
    artifacts: Annotated[
        Names, Meta(description="Files and folders of the run folder that are kept with the run, where they are there.")
    ] = field(default_factory=lambda: ["run.json", "metrics.json", "importance.json", "report.html", "sql", "samples/data_info.json"])


class TensorboardConfig(Section, frozen=True, kw_only=True):
    """Needs the extra tensorboard."""

    enabled: Annotated[bool, Meta(description="Write TensorBoard's event files while a run goes on and when it ends.")] = False
    dir: Annotated[str | None, Meta(description="Their folder; tensorboard/ in the run folder by default.")] = None


class TrackingConfig(Section, frozen=True, kw_only=True):
    """Trackers by their own libraries, beside run.json, task=runs and the pages."""

    mlflow: MlflowConfig = field(default_factory=MlflowConfig)
    tensorboard: TensorboardConfig = TensorboardConfig()
