/* What the search of the pages does otherwise than Sphinx; book/_ext/search_words.py says why.
   Sphinx puts this text between its stemmer and its search. */

/* The numbers are Sphinx's own. */
var Scorer = {
  score: ([page, title, anchor, description, score]) => {
    // Fifteen aligners have a method `certificate`; the class is what one looks for.
    if (/^Python (method|attribute|property|data)/.test(description || "")) return score - 8;
    if (description) return score;
    // The glossary says what a name means, after the thing that has it.
    if (anchor.startsWith("#term-")) return Math.min(score, 15.75);
    // Of a page and its section, the section.
    if (anchor) return score + 0.5;
    // Lists that name everything.
    if (/^book\/appendix\/(statements|claims)$/.test(page)) return score - 2;
    if (/^book\/library\/interface\//.test(page) && score < 100) return Math.min(score, 4);
    // Of pages that are as good, the first, then those for users; chapters follow by the alphabet.
    if (page === "book/intro") return score + 0.5;
    if (page.startsWith("book/library/")) return score + 0.25;
    return score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};

/* Words of a question that the page with the answer need not have. */
var ASKING = new Set(
  ("a about am an any can could do does from give has have how i make me my one our should so " +
   "some that the there use using want we what when where which who why with without you your")
    .split(" "));

var splitQuery = (query) => {
  const words = query.split(/[^\p{Letter}\p{Number}_\p{Emoji_Presentation}]+/gu).filter(Boolean);
  const asked = words.filter((word) => !ASKING.has(word.toLowerCase()));
  return asked.length ? asked : words;
};

var oneSpelling = (word) => word
  .replace(/([iy])s(e|ed|es|er|ers|ing|ation|ations|able)$/, "$1z$2")
  .replace(/(?<=\w{3})our(s|ed|ing|al|hood|hoods)?$/, (_, end) => "or" + (end || ""))
  .replace(/ll(ed|ing|er|ers)$/, "l$1");

var SphinxStemmer = Stemmer;
Stemmer = function () {
  const stemmer = new SphinxStemmer();
  this.stemWord = (word) => stemmer.stemWord(oneSpelling(word));
};
