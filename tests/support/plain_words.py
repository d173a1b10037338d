"""Phrases that make a text sound translated. They were replaced once, and do not come back."""

import re

REPLACED = (
    "anew",
    "as it is by now",
    "as the system",
    "beside",
    "blamed",
    "comes with",
    "each with what",
    "gives? way to",
    "goes without",
    "in no (?:number|duration|recovery time)",
    "lies? (?:in|outside|before)",
    "nobody knows",
    "nought",
    "of whom",
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
    "[,:] else",
    "; else (?:it|the|they|this|an?)",
)
"""Usual words: again, also, attributed to, is not counted, is before, unknown, zero, reports, is not a, otherwise."""

PATTERN = re.compile("|".join(rf"(?<!\w)(?:{phrase})\b" for phrase in REPLACED))


def replaced_phrases(text: str) -> list[str]:
    """The phrases in a text, whatever the case and the line breaks. HTML comments are left out."""
    words = re.sub("<!--.*?-->", "", " ".join(text.lower().split()))  # marks of issues that exist cannot change
    return [match[0] for match in PATTERN.finditer(words)]
