"""Patterns in which `*` is any text, as in the settings `gitops`, `repositories` and `teams`."""


def matches(pattern: str, text: str) -> bool:
    """Whether a text has the form of a pattern, in which `*` is any text, also an empty one."""
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    if not text.startswith(first):
        return False
    *middle, last = others
    position = len(first)
    for part in middle:
        start = text.find(part, position)
        if start < 0:
            return False
        position = start + len(part)
    return text.endswith(last) and len(text) - len(last) >= position
