"""Strategies that damage valid files field by field, as transfers, editors and liars do."""

import gzip
import io
import struct
import zipfile

import numpy as np
from hypothesis import strategies as st

from tests.data.support import idx_bytes

LIES = [0, 1, 2, 3, 9, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1]
HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"


@st.composite
def cut_and_flipped(draw, content: bytes) -> bytes:
    """A file after one transfer error, or none: a bit flipped, cut, lengthened, repeated."""
    kinds = ["flip", "flip", "byte", "cut", "more", "twice", "hole"]
    kind = draw(st.sampled_from(["none"] * len(kinds) + kinds))
    at = draw(st.integers(0, max(0, len(content) - 1)))
    if not content or kind == "none":
        return content
    changed = bytearray(content)
    if kind == "flip":
        changed[at] ^= 1 << draw(st.integers(0, 7))
    elif kind == "byte":
        changed[at] = draw(st.sampled_from([0, 1, 10, 34, 44, 127, 128, 255]))
    elif kind == "cut":
        del changed[at:]
    elif kind == "more":
        changed += draw(st.sampled_from([b"\0", b"\0" * 512, b"\n", HTML, content[:20]]))
    elif kind == "twice":
        changed += content
    else:
        length = draw(st.integers(1, 64))
        changed[at : at + length] = bytes(len(changed[at : at + length]))
    return bytes(changed)


@st.composite
def idx_content(draw) -> bytes:
    """An IDX file whose header may lie, about values of any type and shape."""
    kind = draw(st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8"]))
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    fill = draw(st.sampled_from([0, 1, 7, 100]))
    content = bytearray(idx_bytes(np.full(shape, fill).astype(kind)))
    for _ in range(draw(st.integers(0, 2))):
        field = draw(
            st.sampled_from(["zeros", "type", "count", "dimension", "dimension", "web page"])
        )
        if field == "zeros":
            content[draw(st.integers(0, 1))] = draw(st.integers(1, 255))
        elif field == "type":
            content[2] = draw(st.integers(0, 255))
        elif field == "count":
            content[3] = draw(st.sampled_from([0, 1, 2, 3, 5, 8, 9, 255]))
        elif field == "dimension":
            place = 4 + 4 * draw(st.integers(0, len(shape) - 1))
            content[place : place + 4] = struct.pack(">I", draw(st.sampled_from(LIES)))
        else:
            content = bytearray(HTML)
            break
    return draw(cut_and_flipped(bytes(content)))


@st.composite
def gzip_content(draw) -> bytes:
    """The same, packed into one member or several, and damaged once more."""
    content = draw(idx_content())
    at = draw(st.integers(0, len(content)))
    level = draw(st.sampled_from([0, 1, 9]))
    packed = gzip.compress(content[:at], level, mtime=0)
    if draw(st.booleans()):
        packed += gzip.compress(content[at:], level, mtime=0)
    else:
        packed = gzip.compress(content, level, mtime=0)
    return draw(cut_and_flipped(packed))


DESCRS = [
    "<f8",
    ">f8",
    "<f4",
    "<i8",
    "|u1",
    "|b1",
    "|O",
    "<U9",
    "<c16",
    "<M8[s]",
    "<f99",
    "V8",
    "x",
]
SHAPES = ["(40, 2)", "(40,)", "()", "(0, 2)", "(-40, 2)", "(True, 2)", "(4.0, 2)", "(80,)", "40"]
SHAPES += ["(4294967295, 4294967295)", "(99999999999999999999,)", f"({'1, ' * 70})", "(2, 40)"]


def npy(values: np.ndarray, descr: str, fortran: str, shape: str, pad: int = 0) -> bytes:
    """A .npy file whose header says what it is told to say."""
    header = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"
    header = (header + " " * pad + "\n").encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + values.tobytes()


@st.composite
def npz_content(draw) -> bytes:
    """An archive of x (40, 2) and y (40,), one of whose headers may lie."""
    x, y = np.arange(80.0).reshape(40, 2), np.arange(40) % 4
    if draw(st.integers(0, 4)) == 0:
        bad = draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e39]))
        x[draw(st.integers(0, 39)), draw(st.integers(0, 1))] = bad
    arrays = {"x": npy(x, "<f8", "False", "(40, 2)"), "y": npy(y, "<i8", "False", "(40,)")}
    lie = draw(
        st.sampled_from(["none"] * 4 + ["descr", "shape", "order", "text", "object", "missing"])
    )
    which = draw(st.sampled_from(["x", "y"]))
    own = {"x": (x, "<f8", "(40, 2)"), "y": (y, "<i8", "(40,)")}[which]
    if lie == "descr":
        arrays[which] = npy(own[0], draw(st.sampled_from(DESCRS)), "False", own[2])
    elif lie == "shape":
        arrays[which] = npy(own[0], own[1], "False", draw(st.sampled_from(SHAPES)))
    elif lie == "order":
        arrays[which] = npy(own[0], own[1], draw(st.sampled_from(["True", "None", "7"])), own[2])
    elif lie == "text":
        arrays[which] = npy(own[0], own[1], "False", "(" * draw(st.integers(1, 4000)))
    elif lie == "object":
        buffer = io.BytesIO()
        np.save(buffer, np.array([{"a": 1}] * 40, object), allow_pickle=True)
        arrays[which] = buffer.getvalue()
    elif lie == "missing":
        del arrays[which]
    arrays = {name: draw(cut_and_flipped(content)) for name, content in arrays.items()}
    method = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content, method)
    return draw(cut_and_flipped(buffer.getvalue()))


CELLS = ["", "nan", "inf", "-inf", "1e999", "1e39", "=A1*2", "0x10", "1_000", "١٢", "1,5", "text"]
CELLS += ["\0", '"', '"""', "\t", " 7 ", "\u2028", "9" * 200_000, "x" * 300, "\x1b[31m", "-0"]


@st.composite
def csv_content(draw) -> bytes:
    """A table of 30 lines, some of whose cells, lines or names are odd."""
    table = [["a", "b", "label"], *([str(i), str(i / 8), "xy"[i % 2]] for i in range(30))]
    for _ in range(draw(st.integers(0, 3))):
        line, column = draw(st.integers(0, 30)), draw(st.integers(0, 2))
        change = draw(st.sampled_from(["cell", "cell", "shorter", "longer", "empty", "name"]))
        if change == "cell" and column < len(table[line]):
            table[line][column] = draw(st.sampled_from(CELLS))
        elif change == "shorter":
            table[line] = table[line][:column]
        elif change == "longer":
            table[line] = table[line] + ["1"] * draw(st.sampled_from([1, 1000]))
        elif change == "empty":
            table = table[:line]
            break
        elif change == "name" and column < len(table[0]):
            table[0][column] = draw(
                st.sampled_from(["", "a", "label", "A", "n" * 500, "\n", "<b>"])
            )
    between = draw(st.sampled_from([",", ",", ",", ";"]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16"]))
    return draw(cut_and_flipped(end.join(map(between.join, table)).encode(encoding)))


@st.composite
def labels(draw) -> np.ndarray:
    """Labels of 60 examples and three classes, as people have them."""
    good = np.arange(60) % 3
    form = draw(
        st.sampled_from(["index"] * 4 + ["odd", "column", "one-hot", "soft", "short", "one"])
    )
    if form == "odd":
        good = good.astype(draw(st.sampled_from(["f4", "f8", "i8", "i1"])))
        place = draw(st.integers(0, 59))
        numbers = [-1, -100, 3, 4, 100, 127] + [0.5, np.nan, np.inf, 1e30] * (
            good.dtype.kind == "f"
        )
        good[place] = draw(st.sampled_from(numbers))
    elif form == "column":
        good = good[:, None]
    elif form in ("one-hot", "soft"):
        good = np.eye(3)[good] * draw(st.sampled_from([1, 0.5, 10, np.nan, -1]))
    elif form == "short":
        good = good[: draw(st.sampled_from([0, 1, 2, 59]))]
    elif form == "one":
        good = good * 0
    change = draw(st.sampled_from(["none"] * 4 + ["signs", "from one", "type", "type"]))
    if change == "signs":
        good = good * 2 - 1
    elif change == "from one":
        good = good + 1
    elif change == "type" and (abs(good) < 1000).all():
        good = good.astype(draw(st.sampled_from(["u1", "u8", "?", "f2", "c8", "U3"])))
    return good
