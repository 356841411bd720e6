"""From feature values to samples: `run` is the stage, `Encoder` what it learnt.

features.parquet ─▶ plan (columns, encodings) ─▶ splits (which row goes where) ─▶ fit ─▶ encoder ─▶ writer, info

One concept a file: values (declared types), canonical, tutorial (with csv_text and pandas_types), bucket, standard (ways to encode),
xxh64 (with kernels), coded (ids a distinct value), encoder, plan, splits, fit,
collect, statistics (with id_table), info, writer, overlap (reading and writing beside the work), stage. The encoding is specified in docs/encoding.md.
"""

from jdrec.preprocess.encoder import Encoder
from jdrec.preprocess.info import PreprocessReport
from jdrec.preprocess.stage import run

__all__ = ["Encoder", "PreprocessReport", "run"]
