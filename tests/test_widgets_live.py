"""The widgets in JupyterLab with a real kernel, in a real browser: keys move the picture.

Needs JupyterLab beside Chromium: ``jupyter-lab`` on the path, or named by ``LRMF_JUPYTERLAB`` (an
environment of its own will do; the front end of ipywidgets is taken from this one). Without it
the tests are skipped. The front end of ipywidgets 8 does not draw what a kernel with the version
of Colab sends; tests/test_widgets_versions.py looks at that version's side of the kernel.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import browsing
import nbformat
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from book.machinery.config import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
WAIT = 180
DATA = "a = np.random.default_rng(0).normal(size=(50, 2))\n"
EXPLORERS = {
    "clouds": DATA + "widgets.clouds(a, a @ [[1, 1], [0, 1]], source_labels=a[:, 0] > 0,\n"
    "               target_labels=a[:, 0] > 0)",
    "coupling": "widgets.coupling()",
    "descent": "widgets.descent(steps=20)",
    "gaussian": "widgets.gaussian()",
    "mixtures": "widgets.mixtures()",
    "seen": "widgets.seen()",
    "vanishing": "widgets.vanishing_gradient()",
}
READY = """
const panel = window.jupyterapp && window.jupyterapp.shell.currentWidget;
const kernel = panel && panel.sessionContext && panel.sessionContext.session
  && panel.sessionContext.isReady && panel.sessionContext.session.kernel;
return Boolean(kernel && kernel.status === "idle");
"""
# In the order of the cells: where the picture is, and what its sliders are called.
SEEN = """
return [...document.querySelectorAll(".jp-OutputArea .widget-vbox")].map((box) => {
  const picture = box.querySelector("img");
  return picture && {source: picture.src, alt: picture.alt, loaded: picture.naturalWidth > 0};
});
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab whose kernel is this interpreter."""
    program = os.environ.get("LRMF_JUPYTERLAB") or shutil.which("jupyter-lab")
    if program is None:
        pytest.skip("there is no JupyterLab here, so the widgets are not tested in one")
    browsing.programs()
    folder = tmp_path_factory.mktemp("lab")
    kernel = folder / "data" / "kernels" / "here"
    kernel.mkdir(parents=True)
    specification = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Here",
        "language": "python",
        "env": {"PYTHONPATH": str(ROOT), "LRMF_STATIC_WIDGETS": ""},
    }
    (kernel / "kernel.json").write_text(json.dumps(specification), encoding="utf8")
    first = "import numpy as np\n\nfrom lrmf import widgets"
    which = {"name": "here", "display_name": "Here", "language": "python"}
    made = nbformat.v4.new_notebook(metadata={"kernelspec": which})
    made.cells = [nbformat.v4.new_code_cell(source) for source in [first, *EXPLORERS.values()]]
    # Otherwise what lies below the window is not drawn.
    settings = folder / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    text = json.dumps({"windowingMode": "none"})
    (settings / "tracker.jupyterlab-settings").write_text(text, encoding="utf8")
    (folder / "work").mkdir()
    nbformat.write(made, folder / "work" / "widgets.ipynb")
    with _running(program, folder) as address:
        yield address


@contextlib.contextmanager
def _running(program, folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {
        "ServerApp.ip": "127.0.0.1", "ServerApp.port": port, "ServerApp.open_browser": False,
        "ServerApp.root_dir": folder / "work", "IdentityProvider.token": "",
        "ServerApp.allow_root": True, "LabApp.expose_app_in_browser": True,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }  # fmt: skip
    front_end = str(Path(sys.prefix) / "share" / "jupyter")
    homes = {
        name: str(folder / part)
        for name, part in (
            ("JUPYTER_DATA_DIR", "data"),
            ("JUPYTER_CONFIG_DIR", "config"),
            ("JUPYTER_RUNTIME_DIR", "runtime"),
            ("JUPYTERLAB_SETTINGS_DIR", "settings"),
            ("IPYTHONDIR", "ipython"),
        )
    }
    environment = os.environ | homes | {"JUPYTER_PATH": front_end}
    for name in ("PYTHONPATH", "MPLBACKEND"):
        environment.pop(name, None)
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [program, *(f"--{name}={value}" for name, value in options.items())],
            env=environment,
            stdout=log,
            stderr=log,
        )
        address = f"http://127.0.0.1:{port}"
        try:
            _wait_for(server, f"{address}/api", folder / "log")
            yield address
        finally:
            server.terminate()
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                server.kill()  # its kernel sees that nobody is there, and ends
                server.wait()


def _wait_for(server, address, log):
    until = time.monotonic() + WAIT
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=10):
            return
        time.sleep(0.5)
    pytest.fail(f"JupyterLab did not start: {log.read_text(encoding='utf8')[-2000:]}")


@pytest.fixture(scope="module")
def notebook(lab):
    """A browser in which all cells have been run."""
    with browsing.chromium() as running:
        running.set_window_size(1300, 1400)
        running.get(f"{lab}/doc/tree/widgets.ipynb")
        WebDriverWait(running, WAIT).until(lambda driver: driver.execute_script(READY))
        running.execute_script("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        WebDriverWait(running, WAIT).until(
            lambda driver: (
                [bool(one and one["loaded"]) for one in driver.execute_script(SEEN)]
                == [True] * len(EXPLORERS)
            )
        )
        yield running


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_key_on_a_slider_changes_the_picture(notebook, name):
    running = notebook
    k = list(EXPLORERS).index(name)
    before = running.execute_script(SEEN)[k]
    assert len(before["alt"]) > 80
    box = running.find_elements(By.CSS_SELECTOR, ".jp-OutputArea .widget-vbox")[k]
    slider = box.find_element(By.CSS_SELECTOR, "[role=slider]")
    running.execute_script("arguments[0].scrollIntoView({block: 'center'})", slider)
    slider.send_keys(Keys.ARROW_RIGHT)
    WebDriverWait(running, WAIT).until(
        lambda driver: driver.execute_script(SEEN)[k]["source"] != before["source"]
    )
    after = running.execute_script(SEEN)[k]
    assert after["alt"] != before["alt"]
    button = box.find_element(By.CSS_SELECTOR, "button")
    assert button.text == "Start over"
    button.send_keys(Keys.SPACE)
    WebDriverWait(running, WAIT).until(
        lambda driver: driver.execute_script(SEEN)[k]["source"] == before["source"]
    )


def test_every_slider_is_named_for_those_who_do_not_see_it(notebook):
    names = notebook.execute_script(
        """return [...document.querySelectorAll(".widget-slider")].map((one) => {
          const label = one.querySelector("label");
          return label ? label.textContent : "";
        });"""
    )
    assert len(names) > 2 * len(EXPLORERS)
    assert all(names)
