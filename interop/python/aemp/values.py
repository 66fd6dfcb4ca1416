"""Values as Perl nodes send them: PROTOCOL.md, "The database (generation 2)"."""


def as_hash(value):
    """What is to be a hash: an empty one may come as null or as a list."""
    if not value:
        return {}
    if not isinstance(value, dict):
        raise ValueError("not a hash")
    return value


def as_list(value):
    """What is to be a list: an empty one may come as null or as a hash."""
    if not value:
        return []
    if not isinstance(value, list):
        raise ValueError("not a list")
    return value


def same(one, other):
    """Are two values the same? A boolean is no number, unlike Python has it; numbers are equal as such."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other
