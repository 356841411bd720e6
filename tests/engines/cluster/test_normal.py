"""The normal form of a query: what is one query and what is another, and how a change looks."""

from __future__ import annotations

import pytest

from jdrec.engines.openmldb.normal import normal


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("select `a` as b from `t`;", "SELECT\n  a AS b\nFROM\n  t\n"),
        ("select at(a, 0) over w from t", "SELECT `at`(a, 0) OVER (w) FROM t"),
        ("select !isnull(a), a <> 1, a == 2, a mod 3 from t", "SELECT NOT isnull(a), a != 1, a = 2, a % 3 FROM t"),
        ("select a from t order by b asc", "SELECT a FROM t ORDER BY b"),
        ("select 14D, 'it\\'s', \"x\" from t", "SELECT 14d, \"it's\", 'x' FROM t"),
        ("select a -- a comment\nfrom t", "select a from t"),
        (
            "select a from t window w as (union (select a from u) partition by a order by b rows_range between 1d preceding and 0s open preceding "
            "MAXSIZE 9 EXCLUDE CURRENT_TIME INSTANCE_NOT_IN_WINDOW)",
            "SELECT\n  a\nFROM\n  t\nWINDOW w AS (UNION (SELECT a FROM u) PARTITION BY a\n  ORDER BY b ROWS_RANGE BETWEEN 1d PRECEDING AND 0s OPEN PRECEDING "
            "MAXSIZE 9 EXCLUDE CURRENT_TIME INSTANCE_NOT_IN_WINDOW)",
        ),
    ],
)
def test_one_query_in_two_spellings(ours: str, theirs: str):
    assert normal(ours) == normal(theirs)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select a from t", "select A from t"),
        ("select 'a' from t", "select 'A' from t"),
        ("select 'a' from t", "select a from t"),
        ("select 'a  b' from t", "select 'a b' from t"),
        ("select a from t", "select b from t"),
        ("select 7d", "select 8d"),
        ("select (a + b) * c from t", "select a + b * c from t"),
        ("select sum(a) over w from t", "select sum(a) over v from t"),
        ("select a from t order by b desc", "select a from t order by b"),
    ],
)
def test_two_queries(one: str, other: str):
    assert normal(one) != normal(other)


def test_layout():
    text = """select * from (select `id` as id_1, case when a > 1 then 'x, y' else f(b, `c`) end as d from `request`
        last join `user` as u order by u.`ts` on `request`.`id` = u.`id` and a = 1
        window w as (partition by `k` order by `ts` rows between 1 preceding and 0 preceding),
        v as (UNION (select `k`, `ts` from `e`), (select `k`, `ts` from `f`) partition by `k` order by `ts` rows between 2 preceding and current row))
        as out0 last join (select 1 as one from (select x, y from z)) as out1 on out0.id_1 = out1.one;"""
    assert normal(text) == (
        """\
select
  *
from
  (
    select
      id as id_1,
      case when a > 1 then 'x, y' else f(b, c) end as d
    from
      request
      last join user as u order by u.ts on request.id = u.id and a = 1
    window w as (partition by k order by ts rows between 1 preceding and 0 preceding),
      v as (union (select k, ts from e), (select k, ts from f) partition by k order by ts rows between 2 preceding and current row)
  ) as out0
  last join (
    select
      1 as one
    from
      (
        select
          x,
          y
        from
          z
      )
  ) as out1 on out0.id_1 = out1.one
"""
    )
