"""Files of pictures go through one door: their 8-bit pixels, or one line that names the file."""

from __future__ import annotations

import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest
import torch
from PIL import Image

from unitdb import nn
from unitdb.errors import DatasetError, PictureError
from unitdb.pictures import _strict_pillow, read_picture
from unitdb.responses.stimuli import folder_stimuli
from unitdb.responses.stimuli_spec import FolderStimuli

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
GREY = COLOURS[..., 0]


def _png(width: int, height: int, depth: int, kind: int, rows: bytes) -> bytes:
    """A PNG of any bit depth and colour type."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def _deep_png(kind: int, channels: int) -> bytes:
    return _png(8, 6, 16, kind, (b"\0" + bytes(8 * channels * 2)) * 6)


def _saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def _written(content: bytes, path: Path) -> Path:
    path.write_bytes(content)
    return path


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def _deep_tiff(path: Path) -> Path:
    """Colours of 16 bits, as microscopes and raw converters write them."""
    entries = [(256, 4, 8), (257, 4, 6), (259, 3, 1), (262, 3, 2), (277, 3, 3), (278, 4, 6)]
    data = 8 + 2 + 12 * 9 + 4
    entries += [(258, 3, data), (273, 4, data + 6), (279, 4, 8 * 6 * 6)]
    directory = struct.pack("<H", len(entries))
    for tag, kind, value in sorted(entries):
        count = 3 if tag == 258 else 1
        directory += struct.pack("<HHII", tag, kind, count, value)
    content = struct.pack("<2sHI", b"II", 42, 8) + directory + struct.pack("<I", 0)
    return _written(content + struct.pack("<3H", 16, 16, 16) + bytes(8 * 6 * 6), path)


_frames = [Image.fromarray(COLOURS), Image.fromarray(255 - COLOURS)]
_palette = Image.fromarray(COLOURS).quantize(8)
_clear = Image.fromarray(np.dstack([COLOURS, np.full((6, 8), 9, np.uint8)]))

REFUSED = {
    "16-bit grey": (lambda p: _saved(Image.fromarray(GREY.astype(np.uint16)), p / "a.png"), "I;16"),
    "16-bit colour": (lambda p: _written(_deep_png(2, 3), p / "a.png"), "16 bits"),
    "16-bit grey and alpha": (lambda p: _written(_deep_png(4, 2), p / "a.png"), "16 bits"),
    "16-bit colour and alpha": (lambda p: _written(_deep_png(6, 4), p / "a.png"), "16 bits"),
    "16-bit TIFF": (lambda p: _deep_tiff(p / "a.tif"), "16 bits"),
    "16-bit PPM": (
        lambda p: _written(b"P6 8 6 65535\n" + bytes(8 * 6 * 6), p / "a.ppm"),
        "16 bits",
    ),
    "10-bit PPM": (lambda p: _written(b"P6 8 6 1023\n" + bytes(8 * 6 * 6), p / "a.ppm"), "16 bits"),
    "float": (lambda p: _saved(Image.fromarray(GREY / np.float32(255)), p / "a.tif"), "kind F"),
    "32-bit": (lambda p: _saved(Image.fromarray(GREY.astype(np.int32)), p / "a.tif"), "kind I"),
    "CMYK": (lambda p: _saved(Image.fromarray(COLOURS).convert("CMYK"), p / "a.jpg"), "CMYK"),
    "transparent": (lambda p: _saved(_clear, p / "a.png"), "transparent in places"),
    "transparent palette": (
        lambda p: _saved(_palette, p / "a.png", transparency=0),
        "transparent in places",
    ),
    "transparent GIF": (
        lambda p: _saved(_palette, p / "a.gif", transparency=0),
        "transparent in places",
    ),
    "grey and alpha": (lambda p: _saved(_clear.convert("LA"), p / "a.png"), "transparent"),
    "transparent colour": (
        lambda p: _saved(
            Image.fromarray(COLOURS), p / "a.png", transparency=tuple(COLOURS[0, 0].tolist())
        ),
        "transparent in places",
    ),
    "GIF of two": (
        lambda p: _saved(_frames[0], p / "a.gif", save_all=True, append_images=_frames[1:]),
        "several pictures",
    ),
    "APNG": (
        lambda p: _saved(_frames[0], p / "a.png", save_all=True, append_images=_frames[1:]),
        "several pictures",
    ),
    "pages": (
        lambda p: _saved(_frames[0], p / "a.tif", save_all=True, append_images=_frames[1:]),
        "several pictures",
    ),
    "WebP of two": (
        lambda p: _saved(_frames[0], p / "a.webp", save_all=True, append_images=_frames[1:]),
        "several pictures",
    ),
    "EPS named .png": (
        lambda p: _saved(Image.fromarray(COLOURS), p / "a.png", format="EPS"),
        "cannot identify",
    ),
    "PCX named .bmp": (
        lambda p: _saved(Image.fromarray(COLOURS), p / "a.bmp", format="PCX"),
        "cannot identify",
    ),
    "a bomb": (lambda p: _written(_png(60_000, 60_000, 8, 2, b""), p / "a.png"), "pixel"),
    "a small bomb": (lambda p: _written(_png(10_000, 10_000, 8, 2, b""), p / "a.png"), "pixel"),
    "just too large": (
        lambda p: _written(_png(8_200, 8_200, 8, 2, b""), p / "a.png"),
        r"has 8200 × 8200 pixels; at the most 67,108,864",
    ),
    "empty": (lambda p: _written(b"", p / "a.png"), "cannot identify"),
    "no rows": (lambda p: _written(_png(8, 6, 8, 2, b""), p / "a.png"), "cannot be read"),
}


@pytest.mark.robust(
    "pictures",
    given="16-bit, float, CMYK, transparent and animated pictures, several pages, other formats "
    "under a picture's name (EPS), 3.6 billion pixels",
    before="nn.most_exciting_images ranked them: 16-bit grey clipped to white, floats to black, "
    "transparency dropped; of 16-bit colours and animations the dataset reader, too, took the "
    "upper half and the first; DecompressionBombError was a traceback in datasets",
    now="one line that names the file, in datasets and in nn.most_exciting_images",
)
@pytest.mark.parametrize("kind", REFUSED)
def test_pictures_of_which_nobody_can_say_what_was_shown(tmp_path, kind):
    write, message = REFUSED[kind]
    path = write(tmp_path)
    spec = FolderStimuli(kind="folder", folder=tmp_path.name, ending=path.suffix)
    with pytest.raises(DatasetError, match=message) as raised:
        folder_stimuli(spec, tmp_path.parent).image(0)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(PictureError, match=message):
        nn.most_exciting_images(
            {"0": torch.ones(144, dtype=torch.bool)},
            tmp_path,
            model=torch.nn.Sequential(torch.nn.Flatten()),
            transform=lambda image: torch.from_numpy(np.asarray(image, np.float32)),
        )


READ = {
    "colour PNG": (lambda p: _saved(Image.fromarray(COLOURS), p / "a.png"), COLOURS),
    "BMP": (lambda p: _saved(Image.fromarray(COLOURS), p / "a.bmp"), COLOURS),
    "PPM": (lambda p: _saved(Image.fromarray(COLOURS), p / "a.ppm"), COLOURS),
    "TIFF": (lambda p: _saved(Image.fromarray(COLOURS), p / "a.tif"), COLOURS),
    "WebP": (lambda p: _saved(Image.fromarray(COLOURS), p / "a.webp", lossless=True), COLOURS),
    "grey": (lambda p: _saved(Image.fromarray(GREY), p / "a.png"), np.dstack([GREY] * 3)),
    "opaque": (lambda p: _saved(Image.fromarray(COLOURS).convert("RGBA"), p / "a.png"), COLOURS),
    "opaque grey": (
        lambda p: _saved(Image.fromarray(GREY).convert("LA"), p / "a.png"),
        np.dstack([GREY] * 3),
    ),
    "palette": (lambda p: _saved(_palette, p / "a.png"), np.array(_palette.convert("RGB"))),
    "GIF": (lambda p: _saved(_palette, p / "a.gif"), np.array(_palette.convert("RGB"))),
    "one bit": (
        lambda p: _saved(Image.fromarray(GREY > 127), p / "a.png"),
        np.dstack([(GREY > 127) * np.uint8(255)] * 3),
    ),
    "a format under another's name": (
        lambda p: _saved(Image.fromarray(COLOURS), p / "a.jpg", format="PNG"),
        COLOURS,
    ),
}


@pytest.mark.parametrize("kind", READ)
def test_pictures_of_eight_bits_are_read_as_they_are(tmp_path, kind):
    write, expected = READ[kind]
    np.testing.assert_array_equal(read_picture(write(tmp_path), error=PictureError), expected)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_turned_pictures(tmp_path, ending):
    options = {"lossless": True} if ending == "webp" else {}
    path = tmp_path / f"a.{ending}"
    Image.fromarray(COLOURS).save(path, exif=_turned(), **options)
    with pytest.raises(PictureError, match="EXIF tag turns"):
        read_picture(path, error=PictureError)
    found = read_picture(path, error=PictureError, turn=True)
    away = np.abs(found.astype(int) - np.rot90(COLOURS, -1))
    assert away.max() == 0 if ending != "jpg" else found.shape == (8, 6, 3)


@pytest.mark.robust(
    "pictures",
    given="a photograph whose EXIF orientation is 0, as cameras write that do not know it",
    before='refused: "an EXIF tag turns or mirrors it"',
    now="read as it is; only 2 to 8 turn or mirror",
)
@pytest.mark.parametrize("orientation", range(10))
def test_orientations_that_turn_nothing(tmp_path, orientation):
    path, exif = tmp_path / "a.png", Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(COLOURS).save(path, exif=exif)
    if orientation in (0, 1):
        np.testing.assert_array_equal(read_picture(path, error=PictureError), COLOURS)
    else:
        with pytest.raises(PictureError, match="EXIF tag turns"):
            read_picture(path, error=PictureError)


@pytest.mark.robust(
    "pictures",
    given="a file that ends before its pixels do, while the program allows Pillow to read such",
    before="the missing rows are grey or black",
    now="an error; a JPEG that is damaged within, or cut and closed by an end marker, is read: "
    "its SHA-256 in `inputs` tells",
)
@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "bmp", "tif", "ppm", "webp"])
def test_files_that_are_cut(tmp_path, ending, monkeypatch):
    monkeypatch.setattr(PIL.ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", None)
    large = Image.fromarray(RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8))
    path = _saved(large, tmp_path / f"a.{ending}")
    whole = path.read_bytes()
    for length in (len(whole) // 2, len(whole) * 9 // 10):
        path.write_bytes(whole[:length])
        spec = FolderStimuli(kind="folder", folder=tmp_path.name, ending=path.suffix)
        with pytest.raises(DatasetError, match=r"a\.\w+: cannot be read as a picture: .+"):
            folder_stimuli(spec, tmp_path.parent).image(0)
    assert PIL.ImageFile.LOAD_TRUNCATED_IMAGES


def test_checksums_of_png_are_held(tmp_path):
    path = _saved(Image.fromarray(COLOURS), tmp_path / "a.png")
    whole = path.read_bytes()
    start = whole.index(b"IDAT") + 4
    for place in (start + 4, start + 12, start + 20):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(PictureError, match=r"a\.png: cannot be read as a picture"):
            read_picture(path, error=PictureError)


def test_any_damage_is_one_line(tmp_path):
    rng, messages = np.random.default_rng(1), []
    for ending in ("png", "jpg", "gif", "bmp", "tif", "ppm", "webp"):
        path = _saved(Image.fromarray(COLOURS), tmp_path / f"a.{ending}")
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(40):
            damaged = whole.copy()
            damaged[rng.integers(0, len(whole), 3)] = rng.integers(0, 256, 3)
            path.write_bytes(damaged.tobytes())
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    read_picture(path, error=PictureError)
                except PictureError as error:
                    messages.append(str(error))
    assert messages
    assert not any("\n" in message for message in messages)


@pytest.mark.robust(
    "pictures",
    given="two threads that read pictures, in a program that lets Pillow read files that are cut",
    before="the one that ended first allowed it to the other again, and took it from the program",
    now="pictures are decoded one after the other, and the program has back what it set",
)
def test_threads_do_not_undo_what_the_other_needs(monkeypatch):
    monkeypatch.setattr(PIL.ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    begun, end, ended, entered = (threading.Event() for _ in range(4))
    found: list[bool] = []

    def first() -> None:
        with _strict_pillow():
            begun.set()
            end.wait(30)

    def second() -> None:
        with _strict_pillow():
            entered.set()
            ended.wait(30)
            found.append(PIL.ImageFile.LOAD_TRUNCATED_IMAGES)

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert begun.wait(30)
    threads[1].start()
    assert not entered.wait(0.2)
    end.set()
    threads[0].join(30)
    ended.set()
    threads[1].join(30)
    assert found == [False]
    assert PIL.ImageFile.LOAD_TRUNCATED_IMAGES
