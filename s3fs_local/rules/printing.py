"""Values as people read them, wherever they are shown."""


def human_size(size_bytes: int) -> str:
    """`17 B`, `4.0 KiB`, `1.5 GiB`."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    step = min((size_bytes.bit_length() - 1) // 10, 5)
    return f"{size_bytes / (1 << 10 * step):.1f} {' KMGTP'[step]}iB"


def printable(text: str) -> str:
    """The text with whatever would not be seen, or could steer a terminal, spelled out."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
