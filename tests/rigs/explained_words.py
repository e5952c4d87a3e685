"""Which technical words a page shows, in the order in which it is read, and which buttons explain them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

GLOSSARY = "async () => (await import('/page/glossary.js')).GLOSSARY"

SHOWN = """() => {
    const left = "[translate=no], [role=status], [role=alert], [aria-live], code, textarea, svg, script, style, noscript, .work, .what";
    const seen = (node) => node.checkVisibility({visibilityProperty: true});
    const texts = [], later = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode, parent = node.parentElement;
        if (!node.data.trim() || parent.closest(left) || !seen(parent.closest("select") ?? parent)) continue;
        const own = parent.closest(".term-word");
        const block = parent.closest("summary")?.parentElement.closest("div.field, details") ?? parent.closest("ul, ol, table, div.field, fieldset, header, .filters, .row, form") ?? (parent.closest("label") ?? parent).parentElement;
        const before = block.previousElementSibling; // an explanation, closed, behind its button
        const near = own ? [own] : [...block.querySelectorAll(".what"), ...[before, before?.previousElementSibling].filter((one) => one?.matches(".what"))];
        (parent.closest(".term") ? later : texts).push({text: node.data, near: near.filter(seen).map((one) => one.title)});
    }
    const buttons = [...document.querySelectorAll("button.what, button.term-word")].filter(seen);
    return JSON.stringify({
        texts: [...texts, ...later],
        buttons: buttons.map((one) => ({name: one.getAttribute("aria-label"), title: one.title, focusable: one.tabIndex === 0})),
    });
}"""
"""What can be read and is the page's own, each with the explanations that stand at it or beside it; as JSON, as Playwright takes
values over one by one."""


@dataclass
class Words:
    """The technical words of a page and what is wrong with their explanations.

    Args:
        page: Playwright's, of the studio.
    """

    page: Any
    shown: set[str] = field(default_factory=set)
    """Technical words that were seen so far."""
    plain: dict[str, str] = field(default_factory=dict)
    """All other words that were seen so far, in lower case, each with a text that has it."""

    def __post_init__(self) -> None:
        self.glossary: dict[str, list] = self.page.evaluate(GLOSSARY)
        forms = {form.lower(): (form, word) for word, (more, _) in self.glossary.items() for form in [word, *more]}
        self._forms = forms
        longest = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, longest))})(?![\w-])", re.IGNORECASE)
        self._read: dict[str, tuple[list[str], list[str]]] = {}

    def words_in(self, text: str) -> list[str]:
        """The technical words in a text; names such as RISE are no verbs."""
        found = []
        for match in self._pattern.finditer(text):
            form, word = self._forms[match[0].lower()]
            if not re.search("[A-Z].*[A-Z]", form) or match[0] == form:
                found.append(word)
        return found

    def _words_of(self, text: str) -> tuple[list[str], list[str]]:
        """The technical words of a text and all others; most texts of a page are those of the look before."""
        if text not in self._read:
            rest = self._pattern.sub("|", text).lower()
            others = re.findall(r"(?<![\w.#=:/-])[a-z]{2,}(?![\w=:/-]|\.\w)", rest)
            self._read[text] = self.words_in(text), others
        return self._read[text]

    def faults(self) -> list[str]:
        """What is wrong now: words that are not explained where they first appear, and explanations that are not there
        for the first appearance of a word."""
        page = json.loads(self.page.evaluate(SHOWN))
        first: dict[str, dict] = {}
        for piece in page["texts"]:
            technical, others = self._words_of(piece["text"])
            for word in technical:
                first.setdefault(word, piece)
            for word in others:
                self.plain.setdefault(word, piece["text"])
        self.shown |= set(first)
        wrong = [
            f"{word!r} is not explained at {piece['text']!r}"
            for word, piece in first.items()
            if not any(self._means(word, title) for title in piece["near"])
        ]
        for word in self.glossary:
            times = sum(self._means(word, button["title"]) for button in page["buttons"])
            if times != (word in first):
                wrong.append(f"{word!r} is explained {times} times")
        wrong += [f"{one['name']} cannot be reached by the keyboard" for one in page["buttons"] if not one["focusable"]]
        return wrong

    def _means(self, word: str, title: str) -> bool:
        return self.glossary[word][1] in title.split("\n")
