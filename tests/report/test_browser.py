"""The page in a real browser: it draws, asks no network, complains of nothing, and can be used without a mouse, in the dark and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jdrec.stages import Run
from tests.report.chromium import Page, browser, find

pytestmark = pytest.mark.browser

# Texts whose contrast with what lies behind them is below WCAG 2's AA: 4.5, or 3 for large ones. Text in charts is measured against the card.
LOW_CONTRAST = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parse = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const over = (top, under) => [0, 1, 2].map((k) => top[3] * top[k] + (1 - top[3]) * under[k]);
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) { const colour = parse(getComputedStyle(at).backgroundColor); layers.push(colour); if (colour[3] === 1) break; }
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("script, style, .hidden, .skip, title")) continue;
    const style = getComputedStyle(element);
    const colour = parse(element.closest("svg") ? style.fill : style.color);
    const ground = behind(element.closest("svg")?.parentElement ?? element);
    const [a, b] = [light(over(colour, ground)), light(ground)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)} ${element.tagName}.${element.className.baseVal ?? element.className} ${walker.currentNode.data.trim().slice(0, 40)}`);
  }
  return found;
})()
"""
# What a screen reader would miss.
NAMELESS = """
(() => {
  const found = [];
  const name = (e) => (e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")?.split(" ").map((id) => document.getElementById(id)?.textContent).join(" ") || e.textContent).trim();
  for (const e of document.querySelectorAll("a[href], button, summary, [role=img], [role=region], nav, figure, section")) if (!name(e)) found.push(e.outerHTML.slice(0, 90));
  for (const e of document.querySelectorAll("input, select")) if (!e.labels?.length && !e.getAttribute("aria-label")) found.push(e.outerHTML.slice(0, 90));
  for (const e of document.querySelectorAll("img:not([alt])")) found.push(e.outerHTML.slice(0, 90));
  for (const e of document.querySelectorAll("th:not([scope])")) found.push(e.outerHTML.slice(0, 90));
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids.filter((id, k) => ids.indexOf(id) !== k)) found.push(`twice: ${id}`);
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map((e) => Number(e.tagName[1]));
  levels.forEach((level, k) => { if (level > (levels[k - 1] ?? 0) + 1) found.push(`heading ${k} jumps to level ${level}`); });
  if (levels.filter((level) => level === 1).length !== 1) found.push("not one h1");
  if (!document.documentElement.lang || !document.title || !document.querySelector("main")) found.push("lang, title or main");
  for (const e of document.querySelectorAll(".scroll, pre")) if (e.tabIndex < 0) found.push(`cannot be scrolled by keys: ${e.className}`);
  return found;
})()
"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    program = find()
    assert program is not None
    with browser(program) as opened:
        yield opened


@pytest.fixture
def file(finished: Run) -> Path:
    return finished.folder / "report.html"


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_it_draws_everything_and_asks_nobody(page: Page, file: Path, width: int, dark: bool, tmp_path: Path) -> None:
    page.complaints.clear()
    page.open(file, width=width, dark=dark)
    assert page.requests == []
    assert page.complaints == []
    undrawn = "[...document.querySelectorAll('.plot')].filter((plot) => !plot.querySelector('svg path, svg rect')).map((plot) => plot.id)"
    assert page.run("document.querySelectorAll('.plot').length") >= 8
    assert page.run(undrawn) == []
    assert page.run("document.documentElement.scrollWidth <= innerWidth")  # what is wide scrolls within itself
    overflowing = "[...document.querySelectorAll('.plot')].filter((plot) => plot.querySelector('svg').clientWidth > plot.clientWidth + 1).map((plot) => plot.id)"
    assert page.run(overflowing) == []
    assert page.run(LOW_CONTRAST) == []
    page.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 50_000


def test_names_headings_and_landmarks(page: Page, file: Path) -> None:
    page.open(file)
    assert page.run(NAMELESS) == []


def test_charts_say_their_numbers(page: Page, file: Path) -> None:
    page.open(file)
    labels = page.run("[...document.querySelectorAll('.plot')].map((plot) => plot.getAttribute('aria-label'))")
    assert all(any(letter.isdigit() for letter in label) for label in labels)


def test_dark_follows_the_system_until_the_switch_is_used(page: Page, file: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page.open(file)
    page.run("localStorage.clear()")
    page.open(file, dark=True)
    dark = page.run(ground)
    page.open(file, dark=False)
    light = page.run(ground)
    assert (dark, light) == ("rgb(19, 20, 22)", "rgb(252, 252, 250)")
    assert page.run("document.querySelector('.switch').textContent") == "System"
    for said, expected in (("Light", light), ("Dark", dark), ("System", light)):
        page.run("document.querySelector('.switch').click()")
        assert (page.run("document.querySelector('.switch').textContent"), page.run(ground)) == (said, expected)
    page.run("document.querySelector('.switch').click(); document.querySelector('.switch').click()")
    page.open(file)
    assert page.run(ground) == dark  # remembered
    page.run("localStorage.clear()")


def test_the_keyboard_reaches_everything(page: Page, file: Path) -> None:
    page.open(file)
    wanted = page.run(
        "[...document.querySelectorAll('a[href], button, summary, input, [tabindex=\"0\"]')].filter((e) => e.checkVisibility()).length"
    )
    page.run("document.activeElement.blur()")
    page.press("Tab", 9)
    assert page.run("document.activeElement.className") == "skip"
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.press("Enter", 13)
    assert page.run("document.activeElement.id") == "content"
    page.run("document.activeElement.blur(); window.reached = new Set(); addEventListener('focusin', (event) => reached.add(event.target))")
    page.open(file)
    page.run("window.reached = new Set(); addEventListener('focusin', (event) => reached.add(event.target))")
    for _ in range(wanted):
        page.press("Tab", 9)
    assert page.run("reached.size") == wanted


def test_a_table_is_sorted_by_key_press_and_says_so(page: Page, file: Path) -> None:
    page.open(file)
    column = "[...document.querySelectorAll('#feature-table tbody tr')].map((row) => Number(row.cells[2].dataset.value))"
    before = page.run(column)
    page.run("document.querySelector('#feature-table thead tr').cells[2].querySelector('button').focus()")
    page.press("Enter", 13)
    assert page.run(column) == sorted(before, reverse=True)
    assert page.run("document.querySelector('#feature-table thead tr').cells[2].getAttribute('aria-sort')") == "descending"
    page.press("Enter", 13)
    assert page.run(column) == sorted(before)
    page.run("document.querySelector('#feature-table thead tr').cells[8].querySelector('button').click()")
    values = page.run("[...document.querySelectorAll('#feature-table tbody tr')].map((row) => row.cells[8].dataset.value)")
    there = [float(value) for value in values if value]
    assert there == sorted(there, reverse=True) and values[len(there) :] == [""] * (len(values) - len(there))


def test_a_filter_leaves_what_fits(page: Page, file: Path) -> None:
    page.open(file)
    shown = page.run(
        "(() => { const field = document.querySelector('#feature-filter'); field.value = 'own_'; field.dispatchEvent(new Event('input'));"
        " return [...document.querySelectorAll('#feature-table tbody tr')].filter((row) => !row.hidden).map((row) => row.cells[0].querySelector('.mono').textContent) })()"
    )
    assert shown == ["own_count", "own_price"]
    assert page.run("document.querySelector('#feature-filter-count').textContent").startswith("2 of ")


def test_a_chart_answers_the_mouse_and_follows_the_window(page: Page, file: Path) -> None:
    page.open(file)
    page.run("document.querySelector('#importance').scrollIntoView({ block: 'center', behavior: 'instant' })")
    box = page.run(
        "(() => { const b = document.querySelector('#importance .mark-rect path').getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] })()"
    )
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])
    page.wait("document.querySelector('#vg-tooltip-element.visible') !== null")
    assert "feature" in page.run("document.querySelector('#vg-tooltip-element').textContent")
    before = page.run("document.querySelector('#label-rate svg').clientWidth")
    page.resize(700, 900)
    page.wait(f"document.querySelector('#label-rate svg').clientWidth < {before} - 100")


def test_reduced_motion_is_respected(page: Page, file: Path) -> None:
    page.open(file, reduced_motion=True)
    assert page.run("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    page.open(file)
    assert page.run("getComputedStyle(document.documentElement).scrollBehavior") == "smooth"
