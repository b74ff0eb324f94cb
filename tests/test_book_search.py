"""The built book's own search, run under Node.js over its own index: what comes first.

They belong to a built book, so ``make book`` comes first; without one these tests are skipped.
"""

import re
import runpy

import javascript
import pytest

from book.machinery.config import ROOT

HTML = ROOT / "_build" / "html"
words = runpy.run_path(str(ROOT / "book" / "_ext" / "search_words.py"))

#: A page's scripts as its search page loads them, with as much of a browser as they need.
RUN = """
const fs = require("fs"), vm = require("vm"), folder = process.argv[1];
Object.assign(globalThis, {
  SPHINX_HIGHLIGHT_ENABLED: false, _: (text) => text, _ready: () => {},
  document: { getElementById: () => null },
});
for (const name of ["_static/language_data.js", "_static/searchtools.js", "searchindex.js"])
  vm.runInThisContext(fs.readFileSync(`${folder}/${name}`, "utf8"), name);
globalThis.found = vm.runInThisContext(`(query) =>
  Search._performSearch(...Search._parseQuery(query)).reverse()
    .map(([page, title, anchor]) => [page + anchor, title])`);
globalThis.stem = vm.runInThisContext(`(word) => new Stemmer().stemWord(word)`);
const calls = JSON.parse(fs.readFileSync(0, "utf8"));
console.log(JSON.stringify(calls.map(([name, ...args]) => globalThis[name](...args))));
"""

#: What is typed, and what must be among the first three; the first of them comes first.
EXPECTED = {
    "lrmf.LRMF": ["book/library/interface/aligners#lrmf.LRMF"],
    "LRMF": ["book/library/interface/aligners#lrmf.LRMF"],
    "lrd": ["book/library/interface/judge#lrmf.lrd"],
    "certificate": [
        "book/library/interface/judge#lrmf.Certificate",
        "book/appendix/notation#term-certificate",
    ],
    "API": [
        "book/library/interface/aligners",
        "book/library/interface/data",
        "book/library/interface/models",
    ],
    "GPU": ["book/library/install#gpu"],
    "how do I install": ["book/library/install"],
    "install": ["book/library/install"],
    "interface": ["book/library/interface/aligners"],
    "quick start": ["book/library/quick_start"],
    "getting started": ["book/library/quick_start"],
    "d_Lambda": ["book/likelihood_ratio/distance#def-lrd", "book/appendix/notation"],
    "minimizing": ["book/intro"],
    "minimising": ["book/intro"],
    "batch effects": ["book/library/worked_cases#batch-effects"],
    "moons": ["book/library/interface/data#lrmf.data.moons"],
    "GaussianOT": ["book/library/interface/aligners#lrmf.GaussianOT"],
    "judge_files": ["book/library/interface/judge#lrmf.judge.judge_files"],
}


#: Words that many chapters have: it is enough to be among the first three.
QUESTIONS = {"How can I align two data frames?": "book/library/quick_start"}


@pytest.fixture(scope="module")
def search():
    """Results of queries, the best first; all in one run of Node.js."""
    if not (HTML / "searchindex.js").exists():
        pytest.skip("_build/html has no searchindex.js: run make book")
    queries = [*EXPECTED, *QUESTIONS]
    return dict(
        zip(
            queries,
            javascript.call(HTML, *(["found", query] for query in queries), run=RUN),
            strict=True,
        )
    )


@pytest.mark.parametrize("query", EXPECTED)
def test_what_is_meant_comes_first(search, query):
    first = [place for place, _ in search[query][:3]]
    assert first[:1] == EXPECTED[query][:1]
    assert set(EXPECTED[query]) <= set(first)


@pytest.mark.parametrize("query", QUESTIONS)
def test_a_question_finds_its_page(search, query):
    assert QUESTIONS[query] in [place for place, _ in search[query][:3]]


def test_either_spelling_finds_the_same(search):
    assert search["minimising"] == search["minimizing"]
    assert len(search["minimising"]) > 3


def test_words_of_the_index_lead_to_pages_that_exist(search):
    for places in words["WORDS"].values():
        for place in places:
            page, _, anchor = place.partition("#")
            text = (HTML / f"{page}.html").read_text(encoding="utf8")
            assert not anchor or f'id="{anchor}"' in text, place


def test_both_languages_spell_alike(search):
    ours = words["OneSpelling"]({})
    text = (ROOT / "book" / "likelihood_ratio" / "judge.md").read_text(encoding="utf8")
    some = sorted({word.lower() for word in re.findall("[A-Za-z]{3,}", text)})
    some += ["minimising", "minimizing", "colour", "modelled", "neighbourhood", "analysed", "four"]
    there = javascript.call(HTML, *(["stem", word] for word in some), run=RUN)
    assert [ours.stem(word) for word in some] == there
    assert ours.stem("minimising") == ours.stem("minimizing") != ours.stem("maximising")
