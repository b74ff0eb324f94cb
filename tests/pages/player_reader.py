"""A reader of a page with a player, who looks, points, and asks for colours and motion."""

import io
from contextlib import contextmanager

import numpy as np
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from lrmf.player import Player

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}


class Reader:
    """Opens pages and looks at them."""

    def __init__(self, driver, folder):
        self.driver, self.folder = driver, folder
        driver.get_log("browser")
        self.tell("Network.enable")
        network = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self.tell("Network.emulateNetworkConditions", **network)
        self.wants()

    def tell(self, command, **arguments):
        return self.driver.execute_cdp_cmd(command, arguments)

    def wants(self, *, scheme="light", motion="reduce"):
        """Say which colours and how much motion the reader asks for."""
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        listed = [{"name": name, "value": value} for name, value in features.items()]
        self.tell("Emulation.setEmulatedMedia", features=listed)

    def opens(self, text, *, ready=".lrmf-player[data-scheme]"):
        """Open a page from a file, and wait until its player is there."""
        if isinstance(text, Player):
            text.save(self.folder / "page.html")
        else:
            (self.folder / "page.html").write_text(text, encoding="utf8")
        self.driver.get((self.folder / "page.html").as_uri())
        if ready:
            self.until(lambda: self.all(ready))
        return self

    def forget(self):
        self.tell("Emulation.clearDeviceMetricsOverride")
        self.tell("Emulation.setTouchEmulationEnabled", enabled=False)
        self.tell("Emulation.setScriptExecutionDisabled", value=False)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.all(selector)[0]

    def run(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def until(self, condition, seconds=20):
        return WebDriverWait(self.driver, seconds, 0.05).until(lambda _: condition())

    def picture(self, selector=None):
        """What one sees, as an array of colours."""
        from PIL import Image

        target = self.driver if selector is None else self.one(selector)
        data = target.get_screenshot_as_png() if selector is None else target.screenshot_as_png
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)

    def drawn(self, place=0):
        """The pixels of a panel, as text: another text, another picture."""
        return self.run(
            "return document.querySelectorAll('.lrmf-player-plane')[arguments[0]].toDataURL()",
            place,
        )

    def position(self, place=0):
        return float(self.all(".lrmf-player input")[place].get_property("value"))

    def step(self, place=0):
        return self.all(".lrmf-player output")[place].text

    @property
    def playing(self):
        return self.one(".lrmf-player button").get_attribute("aria-label") == "Pause"

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    @contextmanager
    def pointer(self, kind, element, share):
        """Press at a share of the width of an element; yields a function that drags to another."""
        rectangle = self.run(
            "arguments[0].scrollIntoView({block: 'center'});"
            "const r = arguments[0].getBoundingClientRect();"
            "return [r.x, r.y + r.height / 2, r.width]",
            element,
        )
        x, y, width = rectangle
        at = {"x": x + share * width, "y": y}

        def mouse(event):
            button = {"button": "left", "buttons": 1, "clickCount": 1}
            self.tell("Input.dispatchMouseEvent", type=f"mouse{event}", **at, **button)

        def finger(event):
            points = [] if event == "Released" else [at]
            names = {"Pressed": "Start", "Moved": "Move", "Released": "End"}
            self.tell("Input.dispatchTouchEvent", type=f"touch{names[event]}", touchPoints=points)

        use = {"mouse": mouse, "touch": finger}[kind]

        def move(to):
            at["x"] = x + to * width
            use("Moved")

        use("Pressed")
        yield move
        use("Released")
