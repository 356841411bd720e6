"""Functions of dates and times. The calendar is that of UTC+8, whatever the data's time zone."""

from __future__ import annotations

from jdrec.features.functions.rules import CALENDAR, CLOCK, INTEGERS, Argument, Function, T, scalar

_DAY = Argument("time", CALENDAR)
_TIME = Argument("time", CLOCK)
_DATE_OR_TEXT = (T.DATE, T.STRING)

TABLE: tuple[Function, ...] = (
    scalar("year", _DAY, result=T.INT, doc="Year in UTC+8."),
    scalar("month", _DAY, result=T.INT, doc="Month in UTC+8, 1 to 12."),
    scalar("day", _DAY, result=T.INT, doc="Day of the month in UTC+8.", aliases=("dayofmonth",)),
    scalar("dayofweek", _DAY, result=T.INT, doc="Day of the week in UTC+8: 1 is Sunday, 7 is Saturday."),
    scalar("dayofyear", _DAY, result=T.INT, doc="Day of the year in UTC+8, from 1."),
    scalar("weekofyear", _DAY, result=T.INT, doc="Week of the year in UTC+8, by ISO 8601.", aliases=("week",)),
    scalar("hour", _TIME, result=T.INT, doc="Hour in UTC+8, 0 to 23."),
    scalar("minute", _TIME, result=T.INT, doc="Minute of the hour."),
    scalar("second", _TIME, result=T.INT, doc="Second of the minute."),
    scalar("last_day", _DAY, result=T.DATE, doc="The last day of its month.", since="0.6.1"),
    scalar(
        "add_months",
        Argument("date", (T.DATE,)),
        Argument("months", INTEGERS),
        result=T.DATE,
        doc="The date so many months later, or the last day of that month.",
        since="0.8.0",
    ),
    scalar(
        "date_format",
        Argument("time", (T.DATE, T.TIMESTAMP)),
        Argument("format", (T.STRING,)),
        result=T.STRING,
        doc="The date or time in UTC+8 as text; the format is strftime's, such as '%Y-%m-%d'.",
    ),
    scalar(
        "datediff",
        Argument("x", _DATE_OR_TEXT),
        Argument("y", _DATE_OR_TEXT),
        result=T.INT,
        nulls="NULL, or a text that is no date, gives NULL.",
        doc="Days from y to x. Texts are yyyy-mm-dd, yyyymmdd or yyyy-mm-dd hh:mm:ss; of a timestamp take date(x).",
        since="0.7.0",
    ),
    scalar(
        "unix_timestamp",
        Argument("x", _DATE_OR_TEXT),
        result=T.BIGINT,
        nulls="NULL and '' give the present moment, which nothing can reproduce: keep them away.",
        doc="Seconds since 1970 of a date or of a text such as yyyy-mm-dd hh:mm:ss.",
        since="0.7.0",
    ),
)
