"""Generated requests and behaviour of a range of users.

A request is a moment of a user with a product. Most requests are preceded by behaviour of the same pair, in a mood of its own (browsing,
carting, ...), so that what a window over the pair's past holds differs from request to request, not only from pair to pair. Most requests
are made by a behaviour row at exactly their own time, as in the real tables. Nothing is placed because of a label.
"""

from __future__ import annotations

import numpy as np

from jdrec.dataset.generated.jd.entities import Products
from jdrec.dataset.generated.shares import DAY, all_different, draw, moments

TYPES = ("1", "2", "3", "4", "5", "6")  # browse, cart, uncart, order, favourite, click
BROWSE, CART, UNCART, ORDER, FAVOURITE, CLICK = range(6)
MOOD_SHARES = (0.24, 0.18, 0.10, 0.08, 0.12, 0.28)  # the type that stands out in the behaviour before a request
MODELS = ("", "0", "216", "217", "218", "27", "14", "11", "28", "26", "110", "210", "211", "111", "13", "25", "222", "24", "219", "36")
MODEL_SHARES = (0.02, 0.36, 0.17, 0.15, 0.05, *[0.25 / 15] * 15)  # of clicks; other types have no model

QUIET_SHARE = 0.3  # requests without behaviour of their own before them
REPEAT_SHARE = 0.35  # requests for the same product as the user's previous request
ELSEWHERE_SHARE = 0.1  # behaviour with a product that the request is not about
EVENT_SHARE = 0.92  # requests that happen at the time of a behaviour row
MEAN_LAG = 2.5 * DAY

REQUEST = np.dtype(
    [("time", "<i4"), ("user", "<u4"), ("product", "<u4"), ("event", "u1"), ("logit", "<f4"), ("attributes_logit", "<f4")]
)  # `event`: a behaviour row made it
ACTION = np.dtype([("time", "<i4"), ("user", "<u4"), ("product", "<u4"), ("type", "u1"), ("model", "u1")])


def draw_requests(random: np.random.Generator, first_user: int, per_user: np.ndarray, products: Products, days: int) -> np.ndarray:
    """Records REQUEST ordered by (user, time), logits still 0; a user's times are all different.

    Args:
        per_user: int64 [users], how many requests each user makes.
        days: length of the period; times lie in it, except that a crowd of equal times is spread over the seconds after it.
    """
    count = int(per_user.sum())
    user = np.repeat(np.arange(len(per_user)), per_user)
    time = moments(random, count, days)
    order = np.lexsort((time, user))
    requests = np.zeros(count, REQUEST)
    requests["user"] = first_user + user
    requests["time"] = all_different(user, time[order])

    place = np.arange(count)
    fresh = random.random(count) >= REPEAT_SHARE
    fresh[:1] = True
    fresh[1:] |= user[1:] != user[:-1]
    requests["product"] = products.draw(random, count)[np.maximum.accumulate(np.where(fresh, place, 0))]
    return requests


def draw_actions(
    random: np.random.Generator, requests: np.ndarray, count: int, products: Products, hot: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """Records ACTION [count] around the requests, which get their `event` flags.

    Behaviour before a request lies 1 s to some days back, later than the start of the period.

    Args:
        hot: how many requests have so many of the actions for themselves; together no more than half of them.
    """
    if not len(requests):
        return np.zeros(0, ACTION)
    events = min(int(EVENT_SHARE * len(requests)), count // 3)
    made_by = random.choice(len(requests), events, replace=False)
    requests["event"][made_by] = 1

    actions = np.zeros(count, ACTION)
    of = np.empty(count, np.int64)  # the request that each action belongs to
    of[:events] = made_by
    weight = np.minimum(random.pareto(1.4, len(requests)) + 0.2, 200) * (random.random(len(requests)) >= QUIET_SHARE) + 1e-9
    ends = np.cumsum(weight)
    of[events:] = np.searchsorted(ends, random.random(count - events) * ends[-1], side="right").clip(max=len(requests) - 1)

    pairs, rows = hot
    if pairs:
        of[events : events + pairs * rows] = np.repeat(_last_of_users(requests, pairs), rows)

    moment = requests["time"][of].astype(np.int64)
    lag = np.ceil(random.exponential(MEAN_LAG, count)).astype(np.int64)
    lag = np.where(lag < moment, lag, 1 + (random.random(count) * (moment - 1)).astype(np.int64))
    lag[:events] = 0
    actions["time"] = moment - lag
    actions["user"] = requests["user"][of]
    elsewhere = random.random(count) < ELSEWHERE_SHARE
    elsewhere[: events + pairs * rows] = False
    actions["product"] = np.where(elsewhere, products.draw(random, count), requests["product"][of])

    mood = draw(random, MOOD_SHARES, len(requests))[of]
    chance = random.random(count)
    plain = np.where(random.random(count) < 0.3, BROWSE, CLICK)
    moody = chance < 0.6
    moody[:events] = False
    actions["type"] = np.where(moody, mood, plain)
    actions["model"] = np.where(actions["type"] == CLICK, draw(random, MODEL_SHARES, count), 0)
    return actions


def _last_of_users(requests: np.ndarray, count: int) -> np.ndarray:
    """The last requests of different users (or, of fewer users, requests of any), those with the most requests before them."""
    user = requests["user"]
    last = np.flatnonzero(np.append(user[1:] != user[:-1], True))
    several = np.diff(last, prepend=-1)
    return np.resize(last[np.argsort(-several, kind="stable")], count)
