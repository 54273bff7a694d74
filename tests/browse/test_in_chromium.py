"""The pages in a real browser: with clicks, by keyboard alone, at a phone's width, in the dark.

One store, one server, one browser for all tests here: they begin where the page begins.
"""

import re
from collections.abc import Callable, Iterator

import pytest
import trio
from msgspec import Struct
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.browse.chromium import chromium, complaints, enter, follow, history, visit, wear
from tests.browse.scene import Moments, make_scene
from tests.browse.serving import served

pytestmark = pytest.mark.slow


class Browser(Struct):
    """The browser, and where the pages begin."""

    driver: Chrome
    base: str
    moments: Moments

    def open(self, page: str) -> None:
        """The page below the store's folder."""
        visit(self.driver, f"{self.base}/{page}")

    def words(self) -> str:
        """What a person reads on the page."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def click(self, label: str) -> None:
        """The link or button with these words is clicked, and the next page is there."""
        self.follow(self.named(label).click)

    def named(self, label: str) -> WebElement:
        """The link or button with these words."""
        path = f"//*[self::a or self::button][normalize-space()='{label}']"
        return self.driver.find_element(By.XPATH, path)

    def follow(self, act: Callable[[], object]) -> None:
        """What the act leads to is there."""
        follow(self.driver, act)

    def press(self, *keys: str) -> None:
        """The keys, one after another."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, label: str) -> None:
        """The focus is on the link or button with these words, reached by TAB alone."""
        for _ in range(200):
            self.press(Keys.TAB)
            focused = self.driver.switch_to.active_element
            if focused.text.strip() == label:
                return
        pytest.fail(f"TAB never reaches {label!r}")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser that came in by the link."""
    store = tmp_path_factory.mktemp("browse") / "household"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("S3FS_LOCAL_TEST_CLOCK", "0s")
        moments = trio.run(make_scene, store)
        with served(store) as link, chromium() as driver:
            enter(driver, link)
            yield Browser(driver, link.rpartition("/")[0], moments)


@pytest.fixture
def browser(shared: Browser, request: pytest.FixtureRequest) -> Iterator[Browser]:
    """At a desk, in the light, on the first page; a test that fails tells what was asked for."""
    driver = shared.driver
    wear(driver, width=1100, height=900)
    complaints(driver)
    history(driver)
    shared.open("tree/")
    yield shared
    told = "\n".join([*history(driver), *complaints(driver)])
    request.node.add_report_section("teardown", "browser", told)


def test_deleted_photos_are_found_seen_and_brought_back(browser: Browser) -> None:
    """The story: somebody tidied up too well, and it is undone with a few clicks."""
    assert "journey/" in browser.words()
    browser.open(f"changes/?since={browser.moments.before_tidying}")
    assert "journey/photos/sea-1.png" in browser.words()
    browser.follow(browser.driver.find_element(By.LINK_TEXT, "journey/photos/sea-1.png").click)
    image = browser.driver.find_element(By.CSS_SELECTOR, ".picture img")
    assert browser.driver.execute_script("return arguments[0].naturalWidth", image) == 400
    browser.open(f"restore/journey?at={browser.moments.before_tidying}")
    label = re.search(r"Restore: \d+ changes", browser.words())
    assert label is not None

    browser.click(label[0])
    assert "changes were made" in browser.words()
    browser.click("Look at it")
    assert "photos/" in browser.words()
    browser.follow(browser.driver.back)
    browser.click("Undo…")
    undo = re.search(r"Restore: \d+ changes", browser.words())
    assert undo is not None
    browser.click(undo[0])
    browser.open("tree/journey")
    assert "photos/" not in browser.words()
    assert "packing.txt" in browser.words()


def test_a_bar_of_the_timeline_leads_into_the_past(browser: Browser) -> None:
    """A click where much went, then step by step."""
    bars = browser.driver.find_elements(By.CSS_SELECTOR, ".timeline a")
    assert len(bars) > 5
    browser.follow(bars[0].click)
    assert "As it was at" in browser.words()
    browser.click("Back to now")
    assert "As it was at" not in browser.words()
    browser.click("← Before the last change here")
    browser.click("Next change here →")
    box = browser.driver.find_element(By.ID, "at")
    box.clear()
    box.send_keys("30d")
    browser.follow(lambda: box.send_keys(Keys.ENTER))
    assert "As it was at" in browser.words()


def test_everything_is_done_by_keyboard(browser: Browser) -> None:
    """Into a directory, to a file, to what a version changed; each stop of TAB is seen."""
    browser.press(Keys.TAB)
    assert browser.driver.switch_to.active_element.text == "Skip to the content"
    browser.tab_to("journey/")
    focused = browser.driver.switch_to.active_element
    assert focused.value_of_css_property("outline-style") == "solid"
    browser.follow(lambda: browser.press(Keys.ENTER))
    browser.tab_to("plan.txt")
    browser.follow(lambda: browser.press(Keys.ENTER))
    browser.tab_to("What it changed")
    browser.follow(lambda: browser.press(Keys.ENTER))

    assert "Porto by boat" in browser.words()
    browser.tab_to("Restore the older one…")
    browser.follow(lambda: browser.press(Keys.ENTER))
    assert browser.driver.switch_to.active_element.text.startswith("Restore: 1 change")
    browser.follow(lambda: browser.press(Keys.ENTER))
    assert "1 change was made" in browser.words()


PAGES = (
    "tree/journey",
    "file/journey/plan.txt",
    "diff/journey/plan.txt",
    "changes/?since=60d",
    "events/journey",
)


def test_pages_fit_a_phone(browser: Browser) -> None:
    """Nothing has to be pushed sideways to be read, and links are as tall as a finger needs.

    To the page it is the same as a window of 720 px at a zoom of 200 %.
    """
    wear(browser.driver, width=360, height=740)
    for page in (*PAGES, "restore/journey?at=30d", "overview/"):
        browser.open(page)
        width = browser.driver.execute_script("return document.documentElement.scrollWidth")
        assert width <= 360, page
        for table in browser.driver.find_elements(By.CLASS_NAME, "table"):
            inside = browser.driver.execute_script("return arguments[0].scrollWidth", table)
            assert inside <= table.size["width"], (page, table.text)
        for mark in browser.driver.find_elements(By.CLASS_NAME, "mark"):
            assert mark.size["height"] < 30, (page, mark.text)
        for link in browser.driver.find_elements(By.CSS_SELECTOR, "nav a, button"):
            assert link.size["height"] >= 24, (page, link.text)


_CONTRASTS = """
const luminance = colour => {
  const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
};
const paper = element => {
  for (; element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor;
    if (!colour.endsWith(", 0)")) return colour;
  }
  return "rgb(255, 255, 255)";
};
return [...document.querySelectorAll("body *")]
  .filter(element => [...element.childNodes].some(
    node => node.nodeType === 3 && node.textContent.trim()))
  .filter(element => element.checkVisibility())
  .map(element => {
    const [one, other] = [getComputedStyle(element).color, paper(element)].map(luminance);
    return [(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), element.outerHTML];
  });
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_they_are_on(browser: Browser, scheme: str) -> None:
    """Contrast of WCAG's AA, whichever colours somebody prefers; and the two do differ."""
    wear(browser.driver, width=1100, height=900, scheme=scheme)
    for page in (*PAGES, "restore/journey?at=30d", "overview/"):
        browser.open(page)
        contrasts = browser.driver.execute_script(_CONTRASTS)
        assert len(contrasts) > 8
        assert [html for contrast, html in contrasts if contrast < 4.5] == [], page
    paper = browser.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(251, 251, 250)", "dark": "rgb(20, 23, 26)"}[scheme]


def test_those_who_cannot_see_the_page_find_their_way(browser: Browser) -> None:
    """Landmarks, a language, a title of its own, a name for every field and picture."""
    titles = set()
    for page in ("tree/journey", "file/journey/plan.txt", "changes/"):
        browser.open(page)
        driver = browser.driver
        titles.add(driver.title)
        assert driver.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"
        for landmark in ("header", "main", "nav", "footer"):
            assert driver.find_elements(By.TAG_NAME, landmark), (page, landmark)
        for element in driver.find_elements(By.CSS_SELECTOR, "a, button, select, input, img"):
            if element.get_attribute("type") != "hidden":
                assert element.accessible_name, (page, element.get_attribute("outerHTML"))
    assert len(titles) == 3


def test_the_browser_finds_nothing_to_complain_of(browser: Browser) -> None:
    """No page breaks its own policy, misses a file, or asks for anything elsewhere."""
    for page in (*PAGES, "overview/"):
        browser.open(page)
    urls = browser.driver.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name)"
    )

    assert complaints(browser.driver) == []
    assert urls
    assert all(url.startswith(browser.base) for url in urls)


def test_stored_html_does_not_run(browser: Browser) -> None:
    """Shown, it is text; and who opens the address of its bytes is given a file."""
    browser.open("file/notes/page.html")
    assert "<script>" in browser.words()
    address = browser.driver.current_url
    raw = {"url": f"{browser.base}/raw/notes/page.html"}
    went = browser.driver.execute_cdp_cmd("Page.navigate", raw)

    assert went["isDownload"]
    assert browser.driver.current_url == address
    assert browser.driver.title.startswith("page.html")
