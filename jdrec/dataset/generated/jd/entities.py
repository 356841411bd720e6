"""Generated users, products and comments: their attributes and how popular each one is.

Shares follow the real tables (2016). Attributes are codes into the tuples of texts below; the writer makes the texts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jdrec.dataset.generated.shares import DAY, draw, zipf_shares

WEEK = 7 * DAY
NEVER = np.iinfo(np.int32).max

AGES = ("-1", "15岁以下", "16-25岁", "26-35岁", "36-45岁", "46-55岁", "56岁以上")
AGE_SHARES = (0.118, 0.002, 0.081, 0.473, 0.272, 0.034, 0.020)
SEXES = ("0", "1", "2")
SEX_SHARES = (0.455, 0.071, 0.474)
LEVELS = ("1", "2", "3", "4", "5")
LEVEL_SHARES = (0.017, 0.062, 0.186, 0.303, 0.432)
A1 = ("-1", "1", "2", "3")
A1_SHARES = (0.035, 0.345, 0.111, 0.509)
A2 = A3 = ("-1", "1", "2")
A2_SHARES = (0.079, 0.609, 0.312)
A3_SHARES = (0.079, 0.394, 0.527)
CATEGORIES = ("4", "5", "6", "7", "8", "9", "10", "11")
CATEGORY_SHARES = (0.20, 0.14, 0.10, 0.08, 0.36, 0.08, 0.03, 0.01)
BRANDS = 200

USER = np.dtype([("time", "<i4"), ("user", "<u4"), ("age", "u1"), ("sex", "u1"), ("level", "u1")])
COMMENT = np.dtype([("time", "<i4"), ("product", "<u4"), ("number", "u1"), ("bad", "u1"), ("rate", "<f4")])


def draw_users(random: np.random.Generator, first: int, count: int) -> np.ndarray:
    """Records USER of the users first .. first + count - 1. `time` is the registration, a local midnight before the period."""
    users = np.zeros(count, USER)
    users["user"] = np.arange(first, first + count)
    users["age"] = draw(random, AGE_SHARES, count)
    users["sex"] = draw(random, SEX_SHARES, count)
    users["level"] = draw(random, LEVEL_SHARES, count)
    users["time"] = -DAY * random.integers(1, 4000, count)
    return users


USER_TIMES = (-4000 * DAY, 0)


@dataclass(frozen=True)
class Products:
    """Attributes of every product, as arrays [products]."""

    a1: np.ndarray
    a2: np.ndarray
    a3: np.ndarray
    category: np.ndarray
    brand: np.ndarray  # uint8, 0 is the most common
    first_bad_comment: np.ndarray  # int32 seconds; NEVER where no comment is bad
    ends: np.ndarray  # cumulative popularity, for drawing

    def __len__(self) -> int:
        return len(self.a1)

    def draw(self, random: np.random.Generator, size: int) -> np.ndarray:
        """Products uint32 [size] by popularity."""
        return np.searchsorted(self.ends, random.random(size) * self.ends[-1], side="right").clip(max=len(self) - 1).astype(np.uint32)


def draw_products(random: np.random.Generator, count: int, weeks: int) -> Products:
    """Half of the products get bad comments some day; from that week on every weekly comment row says so."""
    turns_bad = random.random(count) < 0.5
    week = random.integers(0, max(1, weeks), count)
    return Products(
        a1=draw(random, A1_SHARES, count),
        a2=draw(random, A2_SHARES, count),
        a3=draw(random, A3_SHARES, count),
        category=draw(random, CATEGORY_SHARES, count),
        brand=draw(random, tuple(zipf_shares(BRANDS, 1.1)), count),
        first_bad_comment=np.where(turns_bad, week * WEEK, NEVER).astype(np.int32),
        ends=np.cumsum(zipf_shares(count)),
    )


def draw_comments(random: np.random.Generator, products: Products, week: int) -> np.ndarray:
    """Records COMMENT [products] of one week: a row a product, at the local midnight that starts the week."""
    count = len(products)
    comments = np.zeros(count, COMMENT)
    comments["time"] = week * WEEK
    comments["product"] = np.arange(count)
    comments["number"] = np.minimum(4, random.poisson(1.0 + 0.4 * week, count))
    bad = products.first_bad_comment <= week * WEEK
    comments["bad"] = bad
    comments["rate"] = np.where(bad, np.round(0.005 + random.exponential(0.045, count), 4).clip(max=1.0), 0.0)
    return comments
