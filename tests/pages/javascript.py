"""Run functions of a page's script under Node.js."""

import json
import os
import shutil
import subprocess

import pytest

RUN = """
const script = require(process.argv[1]);
const calls = JSON.parse(require("fs").readFileSync(0, "utf8"));
const results = calls.map(([name, ...args]) =>
  typeof script[name] === "function" ? script[name](...args) : script[name]);
console.log(JSON.stringify(results));
"""


def node():
    """The program that runs a script; continuous integration must have it."""
    program = shutil.which("node")
    if program is None and os.environ.get("CI"):
        pytest.fail("install Node.js: the page's script is not tested without it")
    if program is None:
        pytest.skip("there is no Node.js here, so the page's script is not tested")
    return program


def call(script, *calls, run=RUN):
    """Call functions of a script, each given as a list of its name and arguments."""
    result = subprocess.run(
        [node(), "-e", run, str(script)],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(result.stdout)
