"""Figures as the content of files: SVG, PDF, PNG and PGF, the same bytes for the same figure."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlr.core.checks import InputError, known

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

MARK = "mlr figures"
"""Text in every file, by which it is known again before it is replaced."""
STILL, ANIMATED = ("svg", "pdf", "png", "pgf"), ("gif", "webp", "apng")
LATEX = ("xelatex", "lualatex")
"""Programs that measure text for PGF; others lack signs such as ‖."""
DPI = 300
_FRAME_DPI = 200
_COLOURS = 128  # of an animation
_METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Creator": MARK, "Date": None},
    "pdf": {"Creator": MARK, "Producer": None, "CreationDate": None},
    "png": {"Software": MARK},
}


def check_formats(text: str) -> list[str]:
    """Return the formats of a list with commas, each once.

    Raises:
        InputError: one is unknown, or this machine lacks what it needs.
    """
    formats = list(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    if not formats:
        raise InputError(f"--format={text} names no format; give some, as in --format=svg,png.")
    for name in formats:
        known("--format", name, (*STILL, *ANIMATED))
    if "pgf" in formats and not _latex():
        raise InputError(
            f"--format=pgf needs LaTeX ({' or '.join(LATEX)}), which is not installed: text is "
            "measured with it; install TeX Live, or choose --format=pdf."
        )
    return formats


def encoded(figure: Figure, name: str, kind: str) -> dict[str, bytes]:
    """Encode a figure as the file `name.kind`; returns contents by file name.

    A PGF file comes with a PNG file for each image in it.
    """
    import matplotlib as mpl

    # texts are paths, which look alike everywhere; ids depend on their content and the salt
    settings: Any = {"svg.fonttype": "path", "svg.hashsalt": "mlr", "pdf.fonttype": 42}
    if kind == "pgf":
        return _pgf(figure, name)
    file = BytesIO()
    with mpl.rc_context(settings):
        figure.savefig(file, format=kind, dpi=DPI, metadata=_METADATA[kind])
    return {f"{name}.{kind}": file.getvalue()}


def _pgf(figure: Figure, name: str) -> dict[str, bytes]:
    import matplotlib as mpl
    from PIL import Image

    # only into a folder are its images written, next to it
    with mpl.rc_context({"pgf.texsystem": _latex()}), TemporaryDirectory() as folder:
        figure.savefig(Path(folder) / f"{name}.pgf", format="pgf", dpi=DPI)
        found = {one.name: one.read_bytes() for one in sorted(Path(folder).iterdir())}
    for own, content in found.items():
        if own.endswith(".pgf"):
            found[own] = f"%% {MARK}\n".encode() + content
        else:
            file = BytesIO()
            Image.open(BytesIO(content)).save(file, "png", pnginfo=_png_mark())
            found[own] = file.getvalue()
    return found


def animated(images: Sequence[Image.Image], kind: str, milliseconds: Sequence[int]) -> bytes:
    """Encode images of one size as an animation that repeats for ever.

    Args:
        images: at least one, of `with_common_palette`.
        kind: gif, webp or apng.
        milliseconds: how long each image is shown.
    """
    settings: dict[str, Any] = {"save_all": True, "duration": list(milliseconds), "loop": 0}
    if kind == "gif":
        settings |= {"comment": MARK.encode(), "optimize": False}
    elif kind == "webp":
        images = [one.convert("RGB") for one in images]
        settings |= {"lossless": True, "quality": 20, "method": 2, "xmp": MARK.encode()}
    else:
        settings |= {"pnginfo": _png_mark()}
    file = BytesIO()
    first, *others = images
    first.save(file, "png" if kind == "apng" else kind, append_images=others, **settings)
    return file.getvalue()


def with_common_palette(frames: Sequence[Figure]) -> list[Image.Image]:
    """Draw figures as images of one palette, so that what does not change does not flicker."""
    from PIL import Image

    width, height = (round(inches * _FRAME_DPI) for inches in frames[0].get_size_inches())
    sheet = Image.new("RGB", (width, height * len(frames)))
    for place, figure in enumerate(frames):
        file = BytesIO()
        figure.savefig(file, format="rgba", dpi=_FRAME_DPI)
        sheet.paste(Image.frombytes("RGBA", (width, height), file.getvalue()), (0, place * height))
    few = sheet.quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    colours = few.getpalette() or []
    at = 3 * int(few.getpixel((0, 0)))  # type: ignore[arg-type]
    colours[at : at + 3] = [255] * 3  # the background, averaged with similar colours
    few.putpalette(colours)
    return [few.crop((0, top, width, top + height)) for top in range(0, few.height, height)]


def _png_mark() -> PngInfo:
    from PIL.PngImagePlugin import PngInfo

    found = PngInfo()
    found.add_text("Software", MARK)
    return found


def foreign(folder: Path, names: Iterable[str]) -> list[Path]:
    """List the files of these names in a folder that `mlr figures` did not write."""
    return [path for name in names if (path := folder / name).exists() and not _is_own(path)]


def _is_own(path: Path) -> bool:
    try:
        return MARK.encode() in path.read_bytes()
    except OSError:  # a folder, or not readable
        return False


def _latex() -> str | None:
    return next((name for name in LATEX if shutil.which(name)), None)
