"""Configuration of the engines that compute features, and of their comparison."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from jdrec.config.base import Section

EngineName = Literal["embedded", "spark", "openmldb"]


class EngineConfig(Section, frozen=True, kw_only=True):
    name: Annotated[
        EngineName, Meta(description="Where features are computed: in this process, by OpenMLDB's batch engine on Spark, or by a cluster.")
    ] = "embedded"
    threads: Annotated[int, Meta(ge=0, description="Threads of the embedded engine; 0: one a core.")] = 0
    master: Annotated[
        str,
        Meta(min_length=1, description="Spark: local[*], local[4], spark://host:7077, yarn, k8s://... The driver runs in this process."),
    ] = "local[*]"
    driver_memory: Annotated[str, Meta(pattern=r"^[0-9]+[kmgtKMGT]$", description="Spark: heap of the driver, e.g. 4g.")] = "4g"
    spark_conf: Annotated[
        dict[str, str | int | float | bool],
        Meta(description="Spark: any of its properties, e.g. {spark.executor.memory: 8g}; they win over jdrec's own."),
    ] = field(default_factory=dict)
    jars: Annotated[
        str | None, Meta(description="Spark: folder of OpenMLDB's jars; by default the user's cache, where make spark-jars puts them.")
    ] = None
    java_home: Annotated[str | None, Meta(description="Spark: folder of a Java 8, 11 or 17; by default JAVA_HOME, or java on PATH.")] = None
    work_dir: Annotated[
        str | None,
        Meta(
            description="Spark: folder for intermediate Parquet files. A cluster's executors must see it too; by default a temporary one."
        ),
    ] = None
    keep_parts: Annotated[
        bool, Meta(description="Spark: also keep the partitioned Parquet directory, features.parts beside features.parquet.")
    ] = False


class CompareConfig(Section, frozen=True, kw_only=True):
    with_: Annotated[EngineName, Meta(description="task=compare: the engine whose values engine.name's are compared with.")] = field(
        default="spark", name="with"
    )
    tolerance: Annotated[
        float, Meta(ge=0, description="Largest difference of two floating values, relative to the larger one; 0: the same bit for bit.")
    ] = 0.0
    examples: Annotated[int, Meta(ge=0, description="Differing cells shown of each feature.")] = 3
