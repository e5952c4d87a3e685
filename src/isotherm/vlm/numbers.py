"""How many a text says that there are: what models answer when they are asked to count, in digits or in English
words.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from isotherm import limits

UNITS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
GROUPS = {"dozen": 12, "couple": 2, "pair": 2, "single": 1}

_NUMBER = re.compile(r"(?<![\w.,])(-\s?)?(\d{1,3}(?:[,']\d{3})+|\d+)(\.\d+)?(?!\d)(?!\w)(?!\s?%)")
_WORD = re.compile(r"[a-z]+", re.IGNORECASE)
_LIST_MARK = re.compile(r"^\s*(\d+)[.)]\s+\S", re.MULTILINE)
_REFUSES = re.compile(
    r"\b(can(?:not|'t| not)|could(?:n't| not)|unable|impossible|not possible|unclear|uncertain|not sure|unsure|don't know|do not know|no (?:way|one|idea)|hard to|difficult to"
    r"|too many|countless|uncountable|innumerable|sorry)\b",
    re.IGNORECASE,
)
_NONE = re.compile(
    r"\b(none|nothing|no|not any|(?:are|is|do|does)(?:n't| not) (?:any|see any|contain any|have any)|without any)\b",
    re.IGNORECASE,
)
_AN = re.compile(
    r"\b(?:there(?:'s| is)|i (?:can )?see|it (?:shows|has|contains)|only) an? (?!lot\b|few\b|number\b|bunch\b|large\b|group\b|pile\b|variety\b)[a-z]+",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"\b(?:no|each|every|any|this|that|an?\s+[a-z]+|the\s+[a-z]+)\s+$", re.IGNORECASE)
"""Before a "one" that counts nothing: "no one", "a red one"."""
_TOTAL = re.compile(
    r"\b(in total|total|altogether|all together|overall|in all|answer is|final answer|boxed)\b|=", re.IGNORECASE
)


@dataclass(frozen=True)
class TextCount:
    """What a text says.

    Args:
        value: how many, or None where it does not say.
        reason: what was read, or why nothing was, in words.
    """

    value: float | None
    reason: str


@dataclass(frozen=True)
class _Number:
    value: float
    start: int
    end: int


def read_count(text: str, category: str = "") -> TextCount:
    """The count that an answer gives.

    - Digits of any script ("12", "1,024", "12.0"), words ("twenty-three", "one hundred and five", "a dozen", "two
      dozen", "a couple"). "At least", "about" and "more than" change nothing: the number itself is taken.
    - A range ("10-12", "between ten and twelve", "3 or 4") is its mean.
    - Of several numbers: the one at a word for a sum ("in total", "=", "the answer is"), else the one right before the
      category, else the first, and the reason says so. A numbered list without another number is as long as its last
      mark says.
    - "None", "no peaches": 0. Ordinals, percentages, negative numbers and fractions are no counts.
    - Refusals ("I cannot tell", "too many to count") and words without a number ("several", "dozens") give None.

    Args:
        text: the answer.
        category: what was counted, in the words of the question.

    Example:
        >>> read_count("There are about twenty-three peaches.").value
        23.0
        >>> read_count("I cannot tell.")
        TextCount(value=None, reason="gives no number: 'I cannot tell.'")
    """
    text = re.sub(r"<think>.*?</think>", " ", text, flags=re.DOTALL).replace("’", "'")
    text = unicodedata.normalize("NFKC", re.sub(r"(?<=\d)[\u00a0\u202f](?=\d{3}(?!\d))", ",", text)).strip()
    if not text:
        return TextCount(None, "says nothing")
    marks = {m.start(1) for m in _LIST_MARK.finditer(text)}
    refuses = bool(_REFUSES.search(text))
    numbers = sorted(
        [f for f in _digits(text) if f.start not in marks] + _words(text, pronouns=refuses), key=lambda f: f.start
    )
    ranged = _ranges(text, numbers)
    if ranged:
        return _chosen(text, ranged, category)
    if len(marks) > 1:
        last = max(int(m[1]) for m in _LIST_MARK.finditer(text))
        return TextCount(float(last), f"a list of {last}")
    if refuses:
        return TextCount(None, f"gives no number: {_short(text)}")
    if match := _NONE.search(text):
        return TextCount(0.0, f"says {match[0]!r}")
    if match := _AN.search(text):
        return TextCount(1.0, f"says {match[0]!r}")
    if re.fullmatch(r"\W*-?\s?\d[\d.,]*\s?%?\W*", text):
        return TextCount(None, f"{_short(text)} is no count")
    return TextCount(None, f"gives no number: {_short(text)}")


def _chosen(text: str, numbers: list[tuple[_Number, str]], category: str) -> TextCount:
    values = {f.value for f, _ in numbers}
    if len(values) == 1:
        return TextCount(numbers[0][0].value, numbers[0][1])
    among = f"one of {len(numbers)} numbers"
    if totals := list(_TOTAL.finditer(text)):
        at = totals[-1]
        behind = [p for p in numbers if p[0].start >= at.end()]
        # "7 in total" stands before it, "the total is 7" and "= 7" behind
        near = min(
            numbers,
            key=lambda p: min(
                abs(p[0].start - at.end()) + (0 if behind and at[0] == "=" else 1), abs(at.start() - p[0].end)
            ),
        )
        near = (
            behind[0] if behind and (at[0] == "=" or at[0].lower() in ("answer is", "final answer", "boxed")) else near
        )
        return TextCount(near[0].value, f"{near[1]}, {among}: the one at {at[0]!r}")
    if stem := category.strip().casefold().removesuffix("s"):
        for f, reason in numbers:
            if text[f.end :].lstrip().casefold().startswith(stem):
                return TextCount(f.value, f"{reason}, {among}: the one before {category!r}")
    return TextCount(numbers[0][0].value, f"{numbers[0][1]}, {among}: the first")


def _digits(text: str) -> list[_Number]:
    out = []
    for m in _NUMBER.finditer(text):
        digits = re.sub(r"[,']", "", m[2])
        if len(digits) > limits.COUNT_DIGITS:  # nobody counts as many
            continue
        value = float(digits + (m[3] or ""))
        minus = m[1] and not re.search(r"\d\s*$", text[: m.start()])
        if not minus and value == int(value):
            end, scale = m.end(), 1
            if more := re.match(r"\s+(hundred|thousand|million|dozen)\b", text[end:], re.IGNORECASE):
                scale, end = (SCALES | GROUPS)[more[1].lower()], end + more.end()
            out.append(_Number(value * scale, m.start(2), end))
    return out


def _words(text: str, *, pronouns: bool) -> list[_Number]:
    """Numbers in words. pronouns: a lone "one" is a pronoun ("I cannot tell one from another")."""
    words = [(m[0].lower(), m.start(), m.end()) for m in _WORD.finditer(text)]
    out, i = [], 0
    while i < len(words):
        value, n = _phrase(text, words, i)
        if n and not (n == 1 and words[i][0] == "one" and (pronouns or _PRONOUN.search(text[: words[i][1]]))):
            out.append(_Number(float(value), words[i][1], words[i + n - 1][2]))
        i += max(n, 1)
    return out


def _phrase(text: str, words: list[tuple[str, int, int]], i: int) -> tuple[int, int]:
    """The number that begins at word i, and how many words it has; 0 words where there is none."""

    def word(k: int) -> str:
        """The k-th word of the phrase, if nothing but a space or a hyphen stands before it."""
        if i + k >= len(words) or (k and text[words[i + k - 1][2] : words[i + k][1]].strip(" -\u2010\u2011\n") != ""):
            return ""
        return words[i + k][0]

    if word(0) == "half" and word(1) in ("a", "the") and word(2) == "dozen":
        return 6, 3
    if word(0) in ("a", "an", "one") and word(1) in GROUPS:
        return GROUPS[word(1)], 2
    total, now, k, last = 0, 0, 0, ""
    while w := word(k):
        if w == "a" and k == 0 and word(1) in SCALES:
            now, last = 1, "unit"
        elif w in TENS and last in ("", "scale"):
            now, last = now + 10 * (TENS.index(w) + 2), "ten"
        elif w in UNITS and (last in ("", "scale") or (last == "ten" and 0 < UNITS.index(w) < 10)):
            now, last = now + UNITS.index(w), "unit"
        elif w == "hundred" and last in ("unit", "ten"):
            now, last = now * 100, "scale"
        elif w in ("thousand", "million") and last:
            total, now, last = total + now * SCALES[w], 0, "scale"
        elif w == "and" and last == "scale" and (word(k + 1) in UNITS or word(k + 1) in TENS):
            pass
        elif w == "dozen" and last in ("unit", "ten"):
            return (total + now) * 12, k + 1
        else:
            break
        k += 1
    return (total + now, k) if last else (0, 0)


def _ranges(text: str, numbers: list[_Number]) -> list[tuple[_Number, str]]:
    """Numbers with what was read; two that are the ends of a range become their mean."""
    out, i = [], 0
    while i < len(numbers):
        a = numbers[i]
        if i + 1 < len(numbers) and _one_range(text, a, b := numbers[i + 1]):
            out.append((_Number((a.value + b.value) / 2, a.start, b.end), f"the mean of {a.value:g} and {b.value:g}"))
            i += 2
        else:
            out.append((a, f"the number {a.value:g}"))
            i += 1
    return out


def _one_range(text: str, a: _Number, b: _Number) -> bool:
    between = re.sub(r"\s+", " ", text[a.end : b.start]).strip().casefold()
    if a.value >= b.value:
        return False
    if between in ("-", "–", "—", "to", "or", "or maybe", "or perhaps", "up to"):
        return True
    return between == "and" and bool(re.search(r"\bbetween\s*$", text[: a.start], re.IGNORECASE))


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
