"""One parser under atheris: its name, then the options of libFuzzer."""

import sys
from importlib import import_module


def main() -> None:
    """Searches until told to end; ends with an error at the first complaint."""
    atheris = import_module("atheris")  # no dependency: see `fuzz.lacks_atheris`
    with atheris.instrument_imports(include=["s3fs_local"]):
        fuzz = import_module("tests.campaigns.fuzz")
    target = fuzz.TARGETS[sys.argv.pop(1)]

    def look(data: bytes) -> None:
        found = fuzz.complaint(target, data)
        if found:
            raise AssertionError(f"{data!r}: {found}")

    atheris.Setup(sys.argv, look)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
