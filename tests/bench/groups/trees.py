"""Trees of source files: unpacking, copying and removing them as people do."""

import io
import shutil
import sysconfig
import tarfile
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Final

from tests.bench.place import Measured, Place, run
from tests.bench.row import Goal, Group, Row, Unit
from tests.bench.sizes import Sizes

UNTAR: Final = Row("untar", "untar", Unit.SECONDS, (Goal(0.5, "gocryptfs"),))
COPY: Final = Row("copy", "cp -a", Unit.SECONDS, (Goal(0.5, "gocryptfs"),))
REMOVE: Final = Row("remove", "rm -rf", Unit.SECONDS, (Goal(1.0, "gocryptfs"),))


@cache
def archive(files: int) -> bytes:
    """A tar archive of the first so many files of the Python library's `test`, or of it all."""
    library = Path(sysconfig.get_path("stdlib"))
    source = library / "test"
    if not (source / "test_os.py").exists():  # Debian leaves it out
        source = library
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        kept = (f for f in sorted(source.rglob("*")) if "__pycache__" not in f.parts)
        for file in islice((f for f in kept if f.is_file()), files):
            tar.add(file, file.relative_to(source.parent), recursive=False)
    return out.getvalue()


def steps(place: Place, sizes: Sizes) -> Iterator[Measured]:
    """The copy is made of what was just unpacked."""
    folder = place.path / "trees"
    folder.mkdir()
    packed = place.base / "tree.tar"
    packed.write_bytes(archive(sizes.tree_files))
    one, two = folder / "one", folder / "two"
    one.mkdir()
    yield UNTAR.timed(place, lambda: run("tar", "-xf", packed, "-C", one), 1)
    yield COPY.timed(place, lambda: run("cp", "-a", one, two), 1)
    yield REMOVE.timed(place, lambda: run("rm", "-rf", one), 1)
    shutil.rmtree(folder)


GROUP: Final = Group("trees", (UNTAR, COPY, REMOVE), steps, note="of the Python library's `test`")
