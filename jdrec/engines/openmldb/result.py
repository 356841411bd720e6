"""The Parquet files that an extract job wrote, turned into features.parquet: declared types, rows in the request table's order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.engines.openmldb.errors import ClusterError
from jdrec.errors import DataError
from jdrec.files import replacing

if TYPE_CHECKING:
    import pyarrow as pa

    from jdrec.dataset.tables import TableSet
    from jdrec.features.spec import FeatureSet

_EXAMPLES = 3


def local_view(path: str, seen_by_cluster: str | None, seen_here: str | None) -> str:
    """Where this process finds what the cluster calls `path`.

    Args:
        path: the job's output as the cluster sees it.
        seen_by_cluster, seen_here: a folder that has two names, such as a mount; None: it has one.
    """
    if seen_by_cluster is None or seen_here is None:
        return path
    return seen_here + path[len(seen_by_cluster) :] if path.startswith(seen_by_cluster) else path


def collect(feature_set: FeatureSet, tables: TableSet, source: str, out: Path) -> int:
    """Writes features.parquet from a job's output; all of it passes through memory.

    Args:
        source: the output folder, as a path or a URI that Arrow can open (file, hdfs, s3, gs).
        out: the file to write; it appears whole or not at all.

    Returns:
        Its number of rows.

    Raises:
        ClusterError: there is no output at that place, or it is not what the query gives.
        DataError: requests whose key is not unique, so that their rows cannot be told apart.
    """
    import pyarrow.parquet as pq

    result = _typed(feature_set, _read(source))
    result = result.take(_order(feature_set, tables, result))
    with replacing(out) as staged:
        pq.write_table(result, staged, compression="zstd")
    return result.num_rows


def _read(source: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import fs

    where = "openmldb.output"
    hint = "The job's output must be seen from here: a shared folder, a URI that Arrow opens, or openmldb.cluster.output_here."
    try:
        files, folder = fs.FileSystem.from_uri(source) if "://" in source else (fs.LocalFileSystem(), os.path.abspath(source))
        parts = sorted(
            info.path
            for info in files.get_file_info(fs.FileSelector(folder))
            if info.is_file and info.base_name.endswith(".parquet") and not info.base_name.startswith(("_", "."))
        )
    except (OSError, ValueError) as error:
        raise ClusterError(f"the extract job's output cannot be read: {error}", where=where, hint=hint) from None
    if not parts:
        raise ClusterError(f"the extract job has finished, but there is no Parquet file in {source}.", where=where, hint=hint)
    # Spark 3 writes timestamps as INT96 by default; in nanoseconds those would end in the year 2262.
    tables = [pq.ParquetFile(part, filesystem=files, coerce_int96_timestamp_unit="ms").read() for part in parts]
    return pa.concat_tables(tables)


def _typed(feature_set: FeatureSet, result: pa.Table) -> pa.Table:
    """The features in the query's order, with the types that they are declared to have."""
    import pyarrow as pa

    names = [feature.name for feature in feature_set.features]
    if sorted(result.column_names) != sorted(names):
        missing, extra = set(names) - set(result.column_names), set(result.column_names) - set(names)
        raise ClusterError(
            f"the extract job's output has other columns than the query: {len(missing)} missing ({_some(missing)}), {len(extra)} unknown ({_some(extra)}).",
            hint="Empty openmldb.output: another job may have written there.",
        )
    columns = []
    for feature in feature_set.features:
        column = result.column(feature.name)
        try:
            columns.append(column.cast(feature.type.arrow))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ClusterError(
                f"column {feature.name} came as {column.type}, not {feature.type.value}: {error}", where=feature.path
            ) from None
    return pa.table(columns, names=names)


def _order(feature_set: FeatureSet, tables: TableSet, result: pa.Table) -> pa.Array:
    """For each request, in the request table's order, where its row is in the result."""
    import pyarrow as pa
    import pyarrow.compute as pc

    key = feature_set.request_key
    type_ = feature_set.request.columns[key].arrow
    parts = [part[key] for part in tables[feature_set.request_table].read([key])]
    requests = pa.chunked_array([part.cast(type_) for part in parts], type=type_)
    rows = result.column(feature_set.blocks[0].features[0].name).combine_chunks()
    if len(requests) != len(rows):
        raise ClusterError(
            f"the extract job gave {len(rows):,} rows for {len(requests):,} requests.",
            where="dataset.root",
            hint="The cluster's offline tables are not the files here: load them (openmldb.cluster.load_offline=true).",
        )
    if pc.count_distinct(rows, mode="all").as_py() != len(rows):
        counts = pc.value_counts(rows)
        repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
        raise DataError(
            f"{len(repeated):,} values of {key} stand for several requests, e.g. {_some(repeated.to_pylist())}; their rows cannot be put in order.",
            where="features.request.key",
            hint="The key of a request must be unique.",
        )
    order = pc.index_in(requests, value_set=rows).combine_chunks()
    if order.null_count:
        unknown = requests.filter(pc.is_null(order)).to_pylist()
        raise ClusterError(
            f"the extract job gave no row for {len(unknown):,} requests, e.g. {_some(unknown)}.",
            where="dataset.root",
            hint="The cluster's offline tables are not the files here: load them (openmldb.cluster.load_offline=true).",
        )
    return order


def _some(values: Any) -> str:
    """A few examples."""
    shown = sorted(map(repr, values))
    return ", ".join(shown[:_EXAMPLES]) + (", ..." if len(shown) > _EXAMPLES else "") if shown else "none"
