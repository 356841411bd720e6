"""Draws all six tables and writes them into an empty folder, in bounded memory.

Users come in chunks: a chunk's requests and behaviour are drawn together, so its windows are exact. Records go to bucket files, which are
put in order and written one by one. Memory is some hundred MiB however many rows there are, plus 30 bytes a user and 30 a product; only a
single user's own rows must fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jdrec.config import GeneratorConfig
from jdrec.dataset import generated_writer as writer
from jdrec.dataset.generated_behaviour import ACTION, REQUEST, draw_actions, draw_requests
from jdrec.dataset.generated_entities import (
    COMMENT,
    DAY,
    USER,
    USER_TIMES,
    draw_comments,
    draw_products,
    draw_users,
    zipf_shares,
)
from jdrec.dataset.generated_signal import GRID, AucCounter, Calibration, attributes_logit, sigmoid, windows_logit
from jdrec.dataset.generated_spill import Spill
from jdrec.progress import Task

CHUNK_ROWS = 500_000  # users, requests and actions of a chunk, together, on average at most


@dataclass(frozen=True)
class _Chunk:
    """A range of users, how many requests each makes, and their share of the actions."""

    first_user: int
    requests: np.ndarray  # int64 [users]
    actions: int


class TableGenerator:
    """One generation run.

    Args:
        settings: how much of everything.
        root: an empty folder.
        task: progress; its total is `rows_total(settings)`.
    """

    def __init__(self, settings: GeneratorConfig, root: Path, task: Task):
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
        rows["bo_user"] = self._write("bo_user", users, writer.user_columns)
        rows["bo_action"] = self._write("bo_action", actions, lambda records: writer.action_columns(records, self._products))
        rows["bo_product"] = self._write_products(np.random.default_rng(orders[4]))
        rows["bo_comment"] = self._write("bo_comment", comments, writer.comment_columns)
        (self._root / "spill").rmdir()
        return {"rows": rows, **truth}

    def _draw(self, users: Spill, requests: Spill, actions: Spill) -> Calibration:
        calibration = Calibration()
        for chunk, seed in _chunks(self._settings, self._seeds["users"], self._seeds["chunks"]):
            random = np.random.default_rng(seed)
            people = draw_users(random, chunk.first_user, len(chunk.requests))
            asked = draw_requests(random, chunk.first_user, chunk.requests, self._products, self._settings.days)
            done = draw_actions(random, asked, chunk.actions, self._products)
            level = people["level"][asked["user"] - chunk.first_user]
            asked["attributes_logit"] = attributes_logit(asked, self._products, level)
            asked["logit"] = asked["attributes_logit"] + windows_logit(asked, done, self._products)
            calibration.add(asked["logit"])
            users.add(people)
            requests.add(asked)
            actions.add(done)
            self._task.advance(len(people) + len(asked) + len(done), "drawing")
        return calibration

    def _write_requests(self, requests: Spill, calibration: Calibration) -> tuple[dict[str, int], dict[str, Any]]:
        """flattenRequest, action and the truth: here the labels are drawn."""
        random = np.random.default_rng(self._seeds["labels"])
        intercept = calibration.intercept(self._settings.label_rate)
        best, attributes, logloss, positives = AucCounter(), AucCounter(), 0.0, 0
        file = writer.TableFile
        with (
            file(self._root, writer.FOLDERS["flattenRequest"], writer.SCHEMAS["flattenRequest"]) as request_file,
            file(self._root, writer.FOLDERS["action"], writer.SCHEMAS["action"]) as label_file,
            file(self._root, writer.TRUTH, writer.TRUTH_SCHEMA) as truth_file,
        ):
            for records in requests.buckets():
                score = np.rint(GRID * sigmoid(records["logit"].astype(np.float64) + intercept)).astype(np.int64).clip(1, GRID - 1)
                probability = score / GRID
                label = random.random(len(records)) < probability
                columns = writer.request_columns(records, request_file.rows)
                request_file.write(columns)
                label_file.write(writer.label_columns(columns, label))
                truth_file.write({"reqId": columns["reqId"], "probability": pa.array(probability)})
                best.add(score, label)
                attributes.add(np.rint(GRID * sigmoid(records["attributes_logit"].astype(np.float64))).astype(np.int64), label)
                logloss -= float(np.log(np.where(label, probability, 1 - probability)).sum())
                positives += int(label.sum())
                self._task.advance(len(records), "writing flattenRequest")
            rows = {"flattenRequest": request_file.rows, "action": label_file.rows}
        truth = {
            "label_rate": positives / rows["action"],
            "best_auc": best.auc(),
            "best_logloss": logloss / rows["action"],
            "attributes_auc": attributes.auc(),
        }
        return rows, truth

    def _write(self, table: str, spill: Spill, columns: Callable[[np.ndarray], dict[str, pa.Array]]) -> int:
        with writer.TableFile(self._root, writer.FOLDERS[table], writer.SCHEMAS[table]) as file:
            for records in spill.buckets():
                file.write(columns(records))
                self._task.advance(len(records), f"writing {table}")
            return file.rows

    def _write_products(self, random: np.random.Generator) -> int:
        order = random.permutation(len(self._products)) if self._settings.shuffle else np.arange(len(self._products))
        with writer.TableFile(self._root, writer.FOLDERS["bo_product"], writer.SCHEMAS["bo_product"]) as file:
            for start in range(0, len(order), CHUNK_ROWS):
                file.write(writer.product_columns(order[start : start + CHUNK_ROWS], self._products))
            return file.rows


def rows_total(settings: GeneratorConfig) -> int:
    """Steps that a run reports to its progress task: every row is drawn and written."""
    return 2 * (settings.users + settings.requests + settings.actions) + settings.products * -(-settings.days // 7)


def _chunks(
    settings: GeneratorConfig, user_seed: np.random.SeedSequence, chunk_seed: np.random.SeedSequence
) -> Iterator[tuple[_Chunk, np.random.SeedSequence]]:
    """All users, cut so that a chunk's rows fit in memory; requests and actions add up to the settings' exactly."""
    per_user = np.random.default_rng(user_seed).multinomial(settings.requests, zipf_shares(settings.users))
    so_far = np.cumsum(per_user)
    size = np.arange(1, settings.users + 1) + so_far * (1 + settings.actions / settings.requests)
    ends = np.unique(np.append(np.searchsorted(size, np.arange(CHUNK_ROWS, size[-1], CHUNK_ROWS), side="right"), settings.users))
    first, actions_before = 0, 0
    for end in ends[ends > 0].tolist():
        actions = int(so_far[end - 1]) * settings.actions // settings.requests
        yield _Chunk(first, per_user[first:end], actions - actions_before), chunk_seed.spawn(1)[0]
        first, actions_before = end, actions
