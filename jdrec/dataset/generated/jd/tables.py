"""Draws all six tables and writes them into an empty folder, in bounded memory.

Users come in chunks: a chunk's requests and behaviour are drawn together, so its windows are exact. Records go to bucket files, which are
put in order and written one by one. Memory is some hundred MiB however many rows there are, plus 30 bytes a user and 30 a product; only a
single user's own rows must fit.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jdrec.config import JdGeneratorConfig
from jdrec.dataset.generated.chunks import CHUNK_ROWS, chunks
from jdrec.dataset.generated.files import TableFile, write_spill
from jdrec.dataset.generated.jd import columns
from jdrec.dataset.generated.jd.behaviour import ACTION, REQUEST, draw_actions, draw_requests
from jdrec.dataset.generated.jd.entities import COMMENT, USER, USER_TIMES, draw_comments, draw_products, draw_users
from jdrec.dataset.generated.jd.signal import attributes_logit, windows_logit
from jdrec.dataset.generated.shares import DAY
from jdrec.dataset.generated.spill import Spill
from jdrec.dataset.generated.truth import Calibration, Labels
from jdrec.errors import ConfigError
from jdrec.progress import Task


class JdGenerator:
    """One generation run.

    Args:
        settings: how much of everything.
        root: an empty folder.
        task: progress; its total is `jd_rows_total(settings)`.
    """

    def __init__(self, settings: JdGeneratorConfig, root: Path, task: Task):
        self._settings, self._root, self._task = settings, root, task
        self._weeks = -(-settings.days // 7)
        seeds = np.random.SeedSequence(settings.seed).spawn(6)
        self._seeds = dict(zip(("products", "users", "chunks", "comments", "orders", "labels"), seeds, strict=True))
        self._products = draw_products(np.random.default_rng(self._seeds["products"]), settings.products, self._weeks)

    def run(self) -> dict[str, Any]:
        """Writes the tables; returns rows by table, label_rate, best_auc, best_logloss and attributes_auc."""
        settings, period = self._settings, (0, self._settings.days * DAY)
        orders = self._seeds["orders"].spawn(5)

        def spill(number: int, name: str, dtype: np.dtype, rows: int, times: tuple[int, int]) -> Spill:
            return Spill(self._root / "spill" / name, dtype, rows, *times, shuffle=settings.shuffle, seed=orders[number])

        users = spill(0, "users", USER, settings.users, USER_TIMES)
        requests = spill(1, "requests", REQUEST, settings.requests, period)
        actions = spill(2, "actions", ACTION, settings.actions, period)
        calibration = self._draw(users, requests, actions)
        comments = spill(3, "comments", COMMENT, settings.products * self._weeks, period)
        for week, seed in enumerate(self._seeds["comments"].spawn(self._weeks)):
            comments.add(draw_comments(np.random.default_rng(seed), self._products, week))

        rows, truth = self._write_requests(requests, calibration)
        rows["bo_user"] = self._write("bo_user", users, columns.user_columns)
        rows["bo_action"] = self._write("bo_action", actions, lambda records: columns.action_columns(records, self._products))
        rows["bo_product"] = self._write_products(np.random.default_rng(orders[4]))
        rows["bo_comment"] = self._write("bo_comment", comments, columns.comment_columns)
        (self._root / "spill").rmdir()
        return {"rows": rows, **truth}

    def _draw(self, users: Spill, requests: Spill, actions: Spill) -> Calibration:
        calibration, settings = Calibration(), self._settings
        hot_left = settings.hot_pairs
        for chunk, random in chunks(settings.users, settings.requests, settings.actions, self._seeds["users"], self._seeds["chunks"]):
            people = draw_users(random, chunk.first_user, len(chunk.requests))
            asked = draw_requests(random, chunk.first_user, chunk.requests, self._products, settings.days)
            hot = min(hot_left, chunk.events // 2 // settings.hot_rows if len(asked) else 0)
            hot_left -= hot
            done = draw_actions(random, asked, chunk.events, self._products, (hot, settings.hot_rows))
            level = people["level"][asked["user"] - chunk.first_user]
            asked["attributes_logit"] = attributes_logit(asked, self._products, level)
            asked["logit"] = asked["attributes_logit"] + windows_logit(asked, done, self._products)
            calibration.add(asked["logit"])
            users.add(people)
            requests.add(asked)
            actions.add(done)
            self._task.advance(len(people) + len(asked) + len(done), "drawing")
        if hot_left:
            raise ConfigError(
                f"{hot_left:,} hot pairs of {settings.hot_rows:,} rows find no room: they take half of the actions at most.",
                where="dataset.generate.hot_pairs",
                hint="Raise dataset.generate.actions.",
            )
        return calibration

    def _write_requests(self, requests: Spill, calibration: Calibration) -> tuple[dict[str, int], dict[str, Any]]:
        """flattenRequest, action and the truth: here the labels are drawn."""
        random, intercept = np.random.default_rng(self._seeds["labels"]), calibration.intercept(self._settings.label_rate)
        with (
            self._file("flattenRequest") as request_file,
            self._file("action") as label_file,
            Labels(self._root, ("reqId", pa.string()), random, intercept) as labels,
        ):
            for records in requests.buckets():
                request = columns.request_columns(records, request_file.rows)
                request_file.write(request)
                label_file.write(
                    columns.label_columns(request, labels.draw(request["reqId"], records["logit"], records["attributes_logit"]))
                )
                self._task.advance(len(records), "writing flattenRequest")
            return {"flattenRequest": request_file.rows, "action": label_file.rows}, labels.summary()

    def _file(self, table: str) -> TableFile:
        return TableFile(self._root, columns.FOLDERS[table], columns.SCHEMAS[table])

    def _write(self, table: str, spill: Spill, of: Callable[[np.ndarray], dict[str, pa.Array]]) -> int:
        return write_spill(self._file(table), spill, of, self._task)

    def _write_products(self, random: np.random.Generator) -> int:
        order = random.permutation(len(self._products)) if self._settings.shuffle else np.arange(len(self._products))
        with self._file("bo_product") as file:
            for start in range(0, len(order), CHUNK_ROWS):
                file.write(columns.product_columns(order[start : start + CHUNK_ROWS], self._products))
            return file.rows


def jd_rows_total(settings: JdGeneratorConfig) -> int:
    """Steps that a run reports to its progress task: every row is drawn and written."""
    return 2 * (settings.users + settings.requests + settings.actions) + settings.products * -(-settings.days // 7)
