"""task=verify against servers: what goes over the wire, equality, and what happens when they fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jdrec.errors import ConfigError, DifferenceError, ServingError
from jdrec.stages import Run
from jdrec.verify.run import verify
from tests.serving.api_server import refused
from tests.verify.small_run import EVENTS, REQUESTS, make_run, with_config
from tests.verify.stand_ins import PredictionService, api_server

SAME = f"{REQUESTS} requests, 13 features, 8 ids, {REQUESTS} scores: 0 differ"
OTHERS = ("event", "ad", "outcome")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"))


def against_server(run: Run, endpoint: str, **settings: Any) -> Run:
    return with_config(run, verify={"features": "openmldb", "batch": 1, **settings}, openmldb={"endpoint": endpoint})


def test_an_apiserver_that_takes_one_row_a_put(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with api_server(run) as server:
        verify(against_server(run, server.endpoint))
    assert capsys.readouterr().out.splitlines()[-1] == SAME
    rows = {path.rpartition("/")[2]: 0 for path in (seen.path for seen in server.seen if seen.method == "PUT")}
    for seen in server.seen:
        if seen.method == "PUT" and len(seen.body["value"]) == 1:
            rows[seen.path.rpartition("/")[2]] += 1
    assert rows == {"ad": 14, "event": EVENTS, "request": REQUESTS}  # the label's table is not asked for
    assert sum(seen.method == "PUT" and len(seen.body["value"]) > 1 for seen in server.seen) == 1  # refused once, never tried again
    times = [seen.body["value"][0][1] for seen in server.seen if seen.method == "PUT" and not seen.path.endswith("/ad")][1:]
    assert times == sorted(times)


def test_a_server_that_takes_many_rows_a_put(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with api_server(run, takes_many=True) as server:
        verify(against_server(run, server.endpoint, batch=None))
    assert capsys.readouterr().out.splitlines()[-1] == SAME
    assert server.puts["event"] < EVENTS / 2


def test_a_server_that_has_the_other_tables(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with api_server(run, OTHERS) as server:
        verify(against_server(run, server.endpoint, insert="requests"))
    assert capsys.readouterr().out.splitlines()[-1] == SAME
    assert set(server.puts) == {"request"}


def test_a_server_with_later_rows_differs(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with api_server(run, (*OTHERS, "request")) as server, pytest.raises(DifferenceError, match="own_count"):
        verify(against_server(run, server.endpoint, insert="none"))
    assert server.puts == {}
    assert "own_count: " in capsys.readouterr().out


def test_a_row_that_the_server_refuses_is_missing(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with api_server(run) as server:
        answer = server.answer
        server.answer = lambda rows: refused("bad row") if rows[0][0] == "q60" else answer(rows)
        with pytest.raises(DifferenceError, match="offline and server are not the same"):
            verify(against_server(run, server.endpoint))
    out = capsys.readouterr().out.splitlines()
    assert "1 request missing (offline, not server)" in out
    assert "  'q60': The OpenMLDB APIServer failed: 'bad row' (HTTP 200)" in out
    assert out[-1] == f"{REQUESTS - 1} requests, 13 features, 8 ids, {REQUESTS - 1} scores: 1 differ (1 missing)"


def test_a_server_that_refuses_all_is_an_error(run: Run) -> None:
    with api_server(run) as server:
        server.answer = lambda rows: refused("no memory")
        with pytest.raises(ServingError, match=r"Stopped after 0 requests: The OpenMLDB APIServer failed: 'no memory'"):
            verify(against_server(run, server.endpoint))


def test_a_server_that_goes_away_is_an_error_that_says_when(run: Run) -> None:
    with api_server(run, OTHERS) as server:
        answer, asked = server.answer, []

        def dies(rows: list[Any]) -> tuple[int, bytes]:
            asked.append(rows)
            if len(asked) > 30:
                raise ConnectionAbortedError
            return answer(rows)

        server.answer = dies
        with pytest.raises(ServingError, match=r"Stopped after 30 requests: The OpenMLDB APIServer at .* does not answer"):
            verify(against_server(run, server.endpoint, insert="requests"))


def test_nothing_at_the_endpoint(run: Run) -> None:
    with pytest.raises(ServingError, match=r"openmldb\.endpoint: There is no such deployment at http://127\.0\.0\.1:9, or nothing answers"):
        verify(against_server(run, "http://127.0.0.1:9"))


# --- a prediction service ------------------------------------------------------------------------------------------------------


def against_service(run: Run, url: str, **settings: Any) -> Run:
    return with_config(run, verify={"service": url, "batch": 1, **settings})


@pytest.mark.parametrize("batch", [1, 30, None])
def test_a_service_that_stores_what_it_scores(batch: int | None, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with PredictionService(run, OTHERS) as service:
        verify(against_service(run, service.url, batch=batch))
    assert capsys.readouterr().out.splitlines()[-1] == SAME


def test_a_service_that_stores_nothing_over_a_server_that_does(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The service has its features from elsewhere, where we put the requests."""
    with api_server(run, OTHERS) as server, PredictionService(run, OTHERS, stores=False) as service:
        settings = {"service": service.url, "features": "openmldb", "insert": "requests", "batch": 1}
        with pytest.raises(DifferenceError):  # this stand-in computes from tables of its own, which nobody fills
            verify(with_config(run, verify=settings, openmldb={"endpoint": server.endpoint}))
    assert server.puts == {"request": REQUESTS}
    assert "own_count: " in capsys.readouterr().out


def test_a_service_that_is_busy_is_asked_again(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with PredictionService(run, OTHERS, refuse=(503, 429)) as service:
        verify(against_service(run, service.url))
    assert service.calls == REQUESTS + 2
    assert capsys.readouterr().out.splitlines()[-1] == SAME


def test_a_service_without_its_model_is_an_error(run: Run) -> None:
    message = r"verify\.service: Stopped after 5 requests: The prediction service at .* does not predict"
    with PredictionService(run, OTHERS, refuse=(200,) * 5 + (503,) * 9) as service, pytest.raises(ServingError, match=message):
        verify(against_service(run, service.url))


def test_a_service_that_dies_is_an_error_and_no_request_is_sent_twice(run: Run) -> None:
    with PredictionService(run, OTHERS, refuse=(200,) * 5 + (0,)) as service:
        with pytest.raises(ServingError, match=r"Stopped after 5 requests: The prediction service at .* does not answer"):
            verify(against_service(run, service.url))
        assert service.calls == 6


def test_answers_that_are_missing_extra_or_changed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        changed = [{**prediction, "score": 0.5} if prediction["id"] == "q7" else prediction for prediction in predictions]
        return [{**prediction, "id": "who?"} if prediction["id"] == "q8" else prediction for prediction in changed]

    with PredictionService(run, OTHERS, wrong=wrong) as service, pytest.raises(DifferenceError, match="score"):
        verify(against_service(run, service.url))
    out = capsys.readouterr().out.splitlines()
    assert f"score: 1 of {REQUESTS - 1} scores differ" in out
    assert "1 request missing (offline, not service)" in out and "  'q8': no answer" in out
    assert "1 request extra (service, not offline)" in out and "  'who?': nobody asked for it" in out
    assert out[-1].endswith("3 differ (1 scores, 1 missing, 1 extra)")


def test_nobody_answers_at_the_services_address(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ServingError, match=r"verify\.service: The prediction service at http://127\.0\.0\.1:9 does not answer"):
        verify(against_service(run, "http://127.0.0.1:9"))


def test_a_key_that_is_not_set(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JDREC_TEST_KEY", raising=False)
    settings = {"verify": {"service": "http://127.0.0.1:9"}, "serving": {"api_key_env": "JDREC_TEST_KEY"}}
    with pytest.raises(ConfigError, match=r"serving\.api_key_env: the environment variable JDREC_TEST_KEY is not set"):
        verify(with_config(run, **settings))
