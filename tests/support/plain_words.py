"""Phrases that make a text sound translated. They were replaced once, and do not come back."""

import re

REPLACED = (
    r", (?:after|before)(?= (?:…|\{\}) (?:\(p|in the))",
    "^not counted",
    "anew",
    "as good as",
    "as it is by now",
    "as the system",
    "beside",
    "blamed",
    "comes with",
    "each with what",
    "fixes of vulnerabilities",
    "gives? way to",
    "goes without",
    "in the same folder",
    "in no (?:number|duration|recovery time)",
    "lies? (?:in|outside|before)",
    "nobody knows",
    "nought",
    "of whom",
    "or more older",
    "replace (?:it|them) by",
    "(?:that|which) are not counted",
    "so many",
    "speaks? for",
    "tells? of",
    "the night",
    "to the letter",
    "told",
    "whom it",
    "whose fault",
    "(?<!there )is no(?! longer)",
    "is none of",
    "is not expected",
    "[,:] else",
    "; else (?:it|the|they|this|an?)",
)
"""Usual words: again, also, attributed to, is not counted, is before, unknown, zero, reports, is not a, otherwise.

A sentence compares "with", not with "before" or "after", and has a verb: "2 tags are not counted", not "Tags, which are
not counted: 2". `…` stands for an expression.
"""

PATTERN = re.compile("|".join(rf"(?<!\w)(?:{phrase})\b" for phrase in REPLACED))


def replaced_phrases(text: str) -> list[str]:
    """The phrases in a text, whatever the case and the line breaks. HTML comments are left out."""
    words = re.sub("<!--.*?-->", "", " ".join(text.lower().split()))  # marks of issues that exist cannot change
    return [match[0] for match in PATTERN.finditer(words)]
