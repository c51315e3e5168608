"""Debian's Chromium without a window, driven through Selenium: what a person sees of the tracking server and a report.

It reaches loopback and files only, writes to a folder of its own, and downloads no driver. What it showed is kept as
images below `build/screenshots`, or MEDU1_SCREENSHOTS.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tiny import ROOT

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

SECONDS = 60.0  # a machine may be busy
SIZE = (1600, 1200)
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    f"--window-size={SIZE[0]},{SIZE[1]}",
)
SPREAD = 4.0  # standard deviation of a grey value, of 255, below which an image shows next to nothing


class Programs(NamedTuple):
    """The browser and the program that drives it."""

    browser: str
    driver: str


def programs() -> Programs | None:
    """As Debian names them; None where one is missing."""
    found = shutil.which("chromium"), shutil.which("chromedriver")
    return Programs(*found) if found[0] and found[1] else None  # type: ignore[arg-type]


class Browser:
    """One window."""

    def __init__(self, driver: "Chrome") -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)

    def seen(self, text: str) -> "WebElement":
        """The first element that shows this text, once one does."""
        return self.found(f"//*[text()[contains(normalize-space(.), {_quoted(text)})]]")

    def found(self, path: str) -> "WebElement":
        """The first visible element at an XPath, once there is one."""

        def shown(driver: "Chrome") -> "WebElement | None":
            return next((each for each in driver.find_elements("xpath", path) if each.is_displayed()), None)

        element: WebElement = self.until(shown, path)
        return element

    def until(self, condition: Callable[["Chrome"], Any], told: str) -> Any:
        """What a condition gives once that is something."""
        from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
        from selenium.webdriver.support.wait import WebDriverWait

        waiting = WebDriverWait(self.driver, SECONDS, 0.2, ignored_exceptions=[StaleElementReferenceException])
        try:
            return waiting.until(condition)
        except TimeoutException:
            place = self.driver.current_url.partition("@")[2] or self.driver.current_url
            shown = self.driver.find_element("tag name", "body").text
            self.kept("failed")
            raise AssertionError(f"{told} is not shown at {place}, which shows: {shown[:3000]}") from None

    def click(self, path: str) -> None:
        """Press what lies at an XPath, once it takes it: a page that is still moving is asked again."""
        from selenium.common.exceptions import ElementClickInterceptedException, ElementNotInteractableException

        moving = (ElementClickInterceptedException, ElementNotInteractableException)

        def pressed(driver: "Chrome") -> bool:
            try:
                self.found(path).click()
            except moving:
                return False
            return True

        self.until(pressed, path)

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Inside the page's frame."""
        self.driver.switch_to.frame(self.found("//iframe"))
        try:
            yield
        finally:
            self.driver.switch_to.default_content()

    def kept(self, name: str) -> Path:
        """An image of the window, of which it is known that it shows something."""
        from PIL import Image, ImageStat

        folder = Path(os.environ.get("MEDU1_SCREENSHOTS") or ROOT / "build" / "screenshots")
        folder.mkdir(parents=True, exist_ok=True)
        content = self.driver.get_screenshot_as_png()
        (folder / f"{name}.png").write_bytes(content)
        with Image.open(BytesIO(content)) as image:
            spread = ImageStat.Stat(image.convert("L")).stddev[0]
            assert image.width >= SIZE[0] // 2
            assert image.height >= SIZE[1] // 2
        assert spread > SPREAD, f"{folder / name}.png shows next to nothing ({spread:.1f})"
        return folder / f"{name}.png"

    def errors(self) -> list[str]:
        """What the console says since it was last asked, warnings apart."""
        return [each["message"] for each in self.driver.get_log("browser") if each["level"] == "SEVERE"]

    def requests(self) -> list[str]:
        """The addresses asked for since it was last asked."""
        import json

        events = [json.loads(each["message"])["message"] for each in self.driver.get_log("performance")]
        return [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]

    def is_alerted(self) -> bool:
        """Whether a script opened a dialogue."""
        from selenium.common.exceptions import NoAlertPresentException

        try:
            self.driver.switch_to.alert  # noqa: B018, asking for it raises where there is none
        except NoAlertPresentException:
            return False
        return True


@contextmanager
def browser(found: Programs, profile: Path) -> Iterator[Browser]:
    """A new one, with a profile of its own."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = found.browser
    for option in (*OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.set_capability("unhandledPromptBehavior", "ignore")
    service = Service(found.driver, env={**os.environ, "SE_OFFLINE": "true", "SE_AVOID_STATS": "true"})
    driver = Chrome(options=options, service=service)
    try:
        yield Browser(driver)
    finally:
        driver.quit()


def _quoted(text: str) -> str:
    """An XPath literal, of text without double quotes."""
    assert '"' not in text
    return f'"{text}"'
