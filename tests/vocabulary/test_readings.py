"""Texts become numbers and times in one way: the calendar is the standard library's, and what is no time has no number."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.kinds.formats import TimeFormat
from dpsynth.readings import DAY, DURATIONS, HOUR, ISO_MOMENT, SECOND, TimeReading, day_number, is_day

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS, SECONDS, MICROSECONDS = (TimeReading((ISO_MOMENT,), step) for step in (DAY, SECOND, 1))
SPANS = TimeReading(DURATIONS, SECOND, plain=True)


@settings(deadline=None)
@given(st.dates())
def test_days_are_numbered_as_the_standard_library_numbers_them(day):
    assert day_number(day.year, day.month, day.day) == (day - date(1970, 1, 1)).days
    assert is_day(day.year, day.month, day.day)
    assert DAYS.number(day.isoformat()) == (day - date(1970, 1, 1)).days


@pytest.mark.parametrize("year", [1, 4, 1900, 2000, 2023, 2024, 9999])
def test_a_month_has_the_days_that_it_has(year):
    for month in range(1, 13):
        last = (date(year + month // 12, month % 12 + 1, 1) - timedelta(1)).day if (year, month) != (9999, 12) else 31
        assert [is_day(year, month, day) for day in (1, last, last + 1)] == [True, True, False]


@settings(deadline=None)
@given(st.datetimes(timezones=st.timezones() | st.none()), st.sampled_from("T "))
def test_moments_are_read_as_the_standard_library_writes_them(moment, between):
    exact = (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment) - EPOCH
    offset = moment.utcoffset()
    if offset is not None and offset % timedelta(minutes=1):
        return  # offsets of historic clocks have seconds, which ISO 8601 cannot write
    text = moment.isoformat(between)
    whole = exact // timedelta(microseconds=1)
    assert MICROSECONDS.number(text) == float(whole)
    assert SECONDS.number(text) == whole // SECOND
    assert DAYS.number(text) == whole // DAY


@pytest.mark.parametrize(
    "text",
    [
        *("2023-02-29", "2023-04-31", "0000-01-01", "10000-01-01", "2023-1-1", "2023-00-10", "2023-13-01", "2023-01-00", "23-01-01"),
        *("2023-01-01T24:00", "2023-01-01T23:60", "2023-01-01T23:59:60", "2023-01-01T1:00", "2023-01-01T10", "2023-01-01 10:00:00."),
        *("2023-01-01Z", "2023-01-01T10:00+24:00", "2023-01-01T10:00+1", "2023-01-01  10:00", "2023/01/01", "20230101"),
        *("today", "", "45000", "\u0662023-01-01"),
    ],
)
def test_what_is_no_moment_has_no_number(text):
    assert DAYS.number(text) is SECONDS.number(text) is None


def test_an_offset_moves_a_moment_to_its_day_in_utc():
    assert DAYS.number("1970-01-01T23:30:00-05:00") == 1
    assert SECONDS.number("1970-01-01T01:00+01") == SECONDS.number("1970-01-01T01:00+0100") == SECONDS.number("1970-01-01") == 0


@settings(deadline=None)
@given(st.timedeltas(timedelta(days=-90_000), timedelta(days=90_000)))
def test_durations_are_read_as_python_writes_them(span):
    assert SPANS.number(str(span)) == span // timedelta(seconds=1)
    assert TimeReading(DURATIONS, HOUR).number(str(span)) == span // timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("26:03:04", 93_784), ("-0:30", -1800), ("+01:00:00.9", 3600), ("-00:00:00.1", -1), ("1 day 02:00:00", 93_600)),
        *(("-1 days +02:00:00", -79_200), ("-1 days -02:00:00", -93_600), ("3 days", 259_200), ("P1DT2H3M4S", 93_784)),
        *(("PT90M", 5400), ("P2W", 1_209_600), ("-PT1.5S", -2), ("PT0,25S", 0), ("90", 90), ("-1.5", -2), ("1e400", float("inf"))),
        *(("1:60", None), ("P1M", None), ("P1Y", None), ("1h", None), ("2 day s", None), ("nan", None), ("", None), ("1 02:00:00", None)),
    ],
)
def test_durations_are_read_in_each_way_they_are_written(text, seconds):
    assert SPANS.number(text) == seconds


FORMATS = ["%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%Y-%m-%d", "%d%%%m|%Y", "Y%Y m%m d%d"]


@pytest.mark.parametrize("text", FORMATS)
@settings(deadline=None)
@given(day=st.dates())
def test_days_come_back_from_every_format(text, day):
    import numpy as np

    written = TimeFormat(text).write(np.array([day], dtype="datetime64[D]"))[0]
    assert TimeFormat(text).fault(("%Y", "%m", "%d"), ("%Y", "%m", "%d")) == ""
    assert written == text.replace("%%", "\0").replace("%Y", f"{day.year:04d}").replace("%m", f"{day.month:02d}").replace(
        "%d", f"{day.day:02d}"
    ).replace("\0", "%")
    assert TimeFormat(text).pattern.microseconds(written) == (day - date(1970, 1, 1)).days * DAY


def test_noughts_in_front_may_be_left_out_where_nothing_else_could_be_meant():
    short, crowded = TimeFormat("%d.%m.%Y").pattern, TimeFormat("%Y%m%d").pattern
    assert short.microseconds("3.2.1970") == short.microseconds("03.02.1970") == 33 * DAY
    assert crowded.microseconds("197023") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("%d.%m.%y", "it takes"),
        ("%d. %B %Y", "it takes"),
        ("%d.%m.%Y %", "it takes"),
        ("%d.%m.%Y %H", "it takes"),
        ("%d.%Y", "format must have"),
        ("%Y-%m-%d %d", "format must have"),
        (" %Y-%m-%d", "without blanks"),
        ("%Y-%d-%m", "could be taken for ISO 8601"),
    ],
)
def test_formats_that_cannot_be_read_back_are_refused_in_words(text, words):
    assert words in TimeFormat(text).fault(("%Y", "%m", "%d"), ("%Y", "%m", "%d"))
