"""Draws the five tables of the ad data set and writes them into an empty folder, in bounded memory, as the JD generator does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jdrec.config import AdGeneratorConfig
from jdrec.dataset.generated.ads import columns
from jdrec.dataset.generated.ads.behaviour import IMPRESSION, VISIT, draw_impressions, draw_visits
from jdrec.dataset.generated.ads.entities import READER, READER_TIMES, draw_ads, draw_readers
from jdrec.dataset.generated.ads.signal import attributes_logit, windows_logit
from jdrec.dataset.generated.chunks import CHUNK_ROWS, chunks
from jdrec.dataset.generated.files import TableFile, write_spill
from jdrec.dataset.generated.shares import DAY
from jdrec.dataset.generated.spill import Spill
from jdrec.dataset.generated.truth import Calibration, Labels
from jdrec.progress import Task

LONGEST_PAUSE = 30  # seconds between an impression and its click


class AdGenerator:
    """One generation run.

    Args:
        settings: how much of everything.
        root: an empty folder.
        task: progress; its total is `ad_rows_total(settings)`.
    """

    def __init__(self, settings: AdGeneratorConfig, root: Path, task: Task):
        self._settings, self._root, self._task = settings, root, task
        seeds = np.random.SeedSequence(settings.seed).spawn(5)
        self._seeds = dict(zip(("ads", "readers", "chunks", "orders", "labels"), seeds, strict=True))
        self._ads = draw_ads(np.random.default_rng(self._seeds["ads"]), settings.ads)

    def run(self) -> dict[str, Any]:
        """Writes the tables; returns rows by table, label_rate, best_auc, best_logloss and attributes_auc."""
        settings, period = self._settings, (0, self._settings.days * DAY)
        orders = self._seeds["orders"].spawn(4)

        def spill(number: int, name: str, dtype: np.dtype, rows: int, times: tuple[int, int]) -> Spill:
            return Spill(self._root / "spill" / name, dtype, rows, *times, shuffle=settings.shuffle, seed=orders[number])

        readers = spill(0, "readers", READER, settings.users, READER_TIMES)
        impressions = spill(1, "impressions", IMPRESSION, settings.requests, period)
        visits = spill(2, "visits", VISIT, settings.visits, period)
        calibration = self._draw(readers, impressions, visits)
        rows, truth = self._write_impressions(impressions, calibration)
        rows["reader"] = write_spill(self._file("reader"), readers, columns.reader_columns, self._task)
        rows["visit"] = write_spill(self._file("visit"), visits, columns.visit_columns, self._task)
        rows["ad"] = self._write_ads(np.random.default_rng(orders[3]))
        (self._root / "spill").rmdir()
        return {"rows": rows, **truth}

    def _draw(self, readers: Spill, impressions: Spill, visits: Spill) -> Calibration:
        calibration, settings = Calibration(), self._settings
        for chunk, random in chunks(settings.users, settings.requests, settings.visits, self._seeds["readers"], self._seeds["chunks"]):
            people = draw_readers(random, chunk.first_user, len(chunk.requests))
            shown = draw_impressions(random, chunk.first_user, chunk.requests, self._ads, settings.days)
            read = draw_visits(random, shown, chunk.events, self._ads)
            device = people["device"][shown["reader"] - chunk.first_user]
            shown["attributes_logit"] = attributes_logit(shown, self._ads, device)
            shown["logit"] = shown["attributes_logit"] + windows_logit(shown, read, self._ads)
            calibration.add(shown["logit"])
            readers.add(people)
            impressions.add(shown)
            visits.add(read)
            self._task.advance(len(people) + len(shown) + len(read), "drawing")
        return calibration

    def _write_impressions(self, impressions: Spill, calibration: Calibration) -> tuple[dict[str, int], dict[str, Any]]:
        """impression, click and the truth: here the labels are drawn."""
        random, intercept = np.random.default_rng(self._seeds["labels"]), calibration.intercept(self._settings.label_rate)
        with (
            self._file("impression") as shown_file,
            self._file("click") as click_file,
            Labels(self._root, ("impression_id", pa.int64()), random, intercept) as labels,
        ):
            for records in impressions.buckets():
                shown = columns.impression_columns(records, self._ads, shown_file.rows)
                shown_file.write(shown)
                clicked = labels.draw(shown["impression_id"], records["logit"], records["attributes_logit"])
                pause = random.integers(1, LONGEST_PAUSE + 1, len(records))
                click_file.write(columns.click_columns(shown, records, clicked, pause))
                self._task.advance(len(records), "writing impression")
            return {"impression": shown_file.rows, "click": click_file.rows}, labels.summary()

    def _file(self, table: str) -> TableFile:
        return TableFile(self._root, table, columns.SCHEMAS[table])

    def _write_ads(self, random: np.random.Generator) -> int:
        order = random.permutation(len(self._ads)) if self._settings.shuffle else np.arange(len(self._ads))
        with self._file("ad") as file:
            for start in range(0, len(order), CHUNK_ROWS):
                file.write(columns.ad_columns(order[start : start + CHUNK_ROWS], self._ads))
            return file.rows


def ad_rows_total(settings: AdGeneratorConfig) -> int:
    """Steps that a run reports to its progress task: every row is drawn and written."""
    return 2 * (settings.users + settings.requests + settings.visits)
