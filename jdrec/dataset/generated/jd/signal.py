"""What makes a generated request end in a purchase: a known probability, driven by what point-in-time windows hold.

The parts are those that the tutorial's features can express: the pair's behaviour types over 7 and 14 days, its activity within 10 hours,
repeated requests among the user's last ten, bad comments over 64 days, and a few attributes. All of them look strictly before the request.
"""

from __future__ import annotations

import numpy as np

from jdrec.dataset.generated.jd.behaviour import TYPES
from jdrec.dataset.generated.jd.entities import Products
from jdrec.dataset.generated.past import Past, common_codes, span
from jdrec.dataset.generated.shares import DAY

BEHAVIOUR_7D = np.array([-0.4, 2.4, -1.2, -1.6, 1.2, 0.2, -0.9])  # by the most frequent type '1' .. '6'; last: no behaviour
DISTINCT_TYPES_14D = np.array([-0.3, -0.2, 0.0, 0.2, 0.3, 0.3, 0.3])  # by the number of distinct types
ACTIVE_10H = 1.0
REPEATS = np.array([-0.2, 0.5, 1.0])  # by earlier requests for the pair among the user's last ten: 0, 1, more
BAD_COMMENT_64D = -0.8
LEVEL = np.array([-0.4, -0.3, -0.1, 0.0, 0.2])
A1 = np.array([-0.3, 0.2, 0.0, -0.1])
WEEKEND = 0.2


def attributes_logit(requests: np.ndarray, products: Products, level: np.ndarray) -> np.ndarray:
    """The part of the logit that needs no window; float64 [requests]. level: code uint8 [requests] of the user's level."""
    day = requests["time"] // DAY % 7  # the period starts on a Monday
    return LEVEL[level] + A1[products.a1[requests["product"]]] + WEEKEND * (day >= 5)


def windows_logit(requests: np.ndarray, actions: np.ndarray, products: Products) -> np.ndarray:
    """The part of the logit that comes from windows; float64 [requests].

    Args:
        requests: records REQUEST ordered by (user, time).
        actions: records ACTION, all of these users' behaviour, in any order.
    """
    pair, actions_pair = common_codes(*(rows["user"].astype(np.int64) * len(products) + rows["product"] for rows in (requests, actions)))
    time = requests["time"].astype(np.int64)
    one_of_type = (actions["type"][:, None] == np.arange(len(TYPES), dtype=np.uint8)).astype(np.int32)
    past = Past(actions_pair, actions["time"].astype(np.int64), one_of_type, span(requests["time"], actions["time"]))
    in_7d = past.sums(pair, time, 7 * DAY)
    in_14d = past.sums(pair, time, 14 * DAY)
    in_10h = past.sums(pair, time, 10 * 3600)
    leading = np.where(in_7d.any(axis=1), in_7d.argmax(axis=1), len(TYPES))  # ties go to the smaller type, as in topn_frequency
    bad = products.first_bad_comment[requests["product"]] < time
    return (
        BEHAVIOUR_7D[leading]
        + DISTINCT_TYPES_14D[(in_14d > 0).sum(axis=1)]
        + ACTIVE_10H * in_10h.any(axis=1)
        + REPEATS[np.minimum(earlier_of_pair(requests["user"], pair), 2)]
        + BAD_COMMENT_64D * bad
    )


def earlier_of_pair(user: np.ndarray, pair: np.ndarray, rows: int = 10) -> np.ndarray:
    """How many of the user's last `rows` earlier requests are for the same pair; arrays [n] ordered by (user, time)."""
    earlier = np.zeros(len(user), np.int64)
    for back in range(1, min(rows, len(user) - 1) + 1):
        earlier[back:] += (user[back:] == user[:-back]) & (pair[back:] == pair[:-back])
    return earlier
