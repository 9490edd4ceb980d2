"""Any picture becomes the 28x28 contract, or one exception that says what to do."""

import io
import random
import struct
import subprocess
import sys
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ml.image_files import decode
from ml.images import CLASS_NAMES, InvalidImage, read_image, render_preview

SAMPLES = Path(__file__).parents[2] / "api" / "console" / "samples"
SNEAKER = np.asarray(Image.open(SAMPLES / "sneaker.png"))
COAT = np.asarray(Image.open(SAMPLES / "coat.png"))


def _encode(pixels, format="PNG", mode=None, **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    (image.convert(mode) if mode else image).save(stream, format, **options)
    return stream.getvalue()


def _read(data, **options):
    return np.frombuffer(read_image(data, **options).pixels, np.uint8).reshape(28, 28)


def _codes(data):
    return [warning.code for warning in read_image(data).warnings]


def _refusal(data, **options):
    with pytest.raises(InvalidImage) as caught:
        read_image(data, **options)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
    return caught.value.code


def _distance(found, expected):
    return float(np.abs(found.astype(int) - expected.astype(int)).mean())


def _enlarged(pixels, side=280, how=Image.Resampling.NEAREST):
    return Image.fromarray(pixels).resize((side, side), how)


def _photo(garment=(150, 40, 60), size=(256, 192), noise=12, seed=0):
    """A T-shirt's outline of one colour on a noisy, unevenly lit wall."""
    generator = np.random.default_rng(seed)
    height, width = size
    wall = np.linspace(150, 200, width)[None, :, None] * np.ones((height, 1, 3))
    outline = np.array([[.35, .2], [.65, .2], [.9, .35], [.82, .48], [.7, .42], [.7, .85], [.3, .85], [.3, .42],
                        [.18, .48], [.1, .35]]) * (width, height)
    cv2.fillPoly(wall, [outline.astype(np.int32)], garment)
    return np.clip(wall + generator.normal(0, noise, wall.shape), 0, 255).astype(np.uint8)


def _chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width, height, *chunks, bits=8, colours=0):
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IEND", b"")


# --- what passes through -------------------------------------------------------------------------------------------

def test_the_classes_are_the_data_sets_in_the_order_of_its_labels():
    assert len(CLASS_NAMES) == 10
    assert CLASS_NAMES[0] == "T-shirt/top" and CLASS_NAMES[9] == "Ankle boot"


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_each_class_has_a_sample_that_is_in_the_contract(name):
    path = SAMPLES / (name.lower().replace("/", "-").replace(" ", "-") + ".png")
    image = read_image(path.read_bytes())
    assert image.pixels == Image.open(path).tobytes()
    assert image.warnings == ()


def _palette(pixels):
    image = Image.fromarray(pixels).convert("P")
    image.putdata(pixels.ravel().tolist())
    image.putpalette([level for gray in range(256) for level in (gray, gray, gray)])
    return image


LOSSLESS = {
    "PNG L": lambda x: _encode(x),
    "PNG L, OpenCV": lambda x: cv2.imencode(".png", x)[1].tobytes(),
    "PNG L, not compressed": lambda x: _encode(x, compress_level=0),
    "PNG L, with text": lambda x: _png(28, 28, _chunk(b"tEXt", b"a\0b"), _chunk(
        b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in x)))),
    "PNG L, in several blocks": lambda x: _png(28, 28, *(_chunk(b"IDAT", block) for block in _blocks(x))),
    "PNG LA": lambda x: _encode(x, mode="LA"),
    "PNG P": lambda x: _encode(_palette(x)),
    "PNG RGB": lambda x: _encode(x, mode="RGB"),
    "PNG RGBA": lambda x: _encode(x, mode="RGBA"),
    "PNG 16 bits, times 257": lambda x: _encode(x.astype(np.uint16) * 257),
    "PNG 16 bits, times 256": lambda x: _encode(x.astype(np.uint16) * 256),
    "PNG 16 bits, values of 8": lambda x: _encode(x.astype(np.uint16)),
    "WebP lossless": lambda x: _encode(x, "WebP", lossless=True),
    "GIF": lambda x: _encode(x, "GIF"),
    "BMP L": lambda x: _encode(x, "BMP"),
    "BMP RGB": lambda x: _encode(x, "BMP", mode="RGB"),
    "TIFF L": lambda x: _encode(x, "TIFF"),
    "TIFF LZW": lambda x: _encode(x, "TIFF", compression="tiff_lzw"),
    "TIFF deflate RGB": lambda x: _encode(x, "TIFF", mode="RGB", compression="tiff_deflate"),
    "TIFF RGBA": lambda x: _encode(x, "TIFF", mode="RGBA"),
    "TIFF 16 bits": lambda x: _encode(x.astype(np.uint16) * 257, "TIFF"),
    "TIFF 32 bits": lambda x: _encode(x.astype(np.int32), "TIFF"),
    "TIFF float, 0 to 1": lambda x: _encode(x.astype(np.float32) / 255, "TIFF"),
    "TIFF float, 0 to 255": lambda x: _encode(x.astype(np.float32), "TIFF"),
}


def _blocks(pixels):
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))
    return data[:100], data[100:]


@pytest.mark.parametrize("encode", LOSSLESS.values(), ids=LOSSLESS)
@pytest.mark.parametrize("pixels", [SNEAKER, COAT], ids=["sneaker", "coat"])
def test_28x28_gray_passes_through_bit_for_bit_however_it_is_stored(encode, pixels):
    image = read_image(encode(pixels))
    assert image.pixels == pixels.tobytes()
    assert image.warnings == ()


def test_black_and_white_and_lossy_gray_pass_through_as_they_are_decoded():
    ink = (SNEAKER > 100) * np.uint8(255)
    assert np.array_equal(_read(_encode(ink, mode="1")), ink)
    assert _distance(_read(_encode(SNEAKER, "JPEG", quality=95)), SNEAKER) < 3
    assert _distance(_read(_encode(SNEAKER, "JPEG", mode="RGB", quality=95)), SNEAKER) < 3
    assert _distance(_read(_encode(SNEAKER, "WebP", quality=95)), SNEAKER) < 3


def test_noise_passes_through_too_whatever_filters_the_encoder_chooses():
    generator = np.random.default_rng(0)
    for _ in range(50):
        pixels = np.cumsum(generator.integers(0, 3, (28, 28)), axis=int(generator.integers(2))).astype(np.uint8)
        assert read_image(_encode(pixels)).pixels == pixels.tobytes()


def test_a_28x28_picture_that_looks_inverted_is_warned_about_and_left_alone():
    image = read_image(_encode(255 - SNEAKER))
    assert [warning.code for warning in image.warnings] == ["inverted"]
    assert image.pixels == (255 - SNEAKER).tobytes()


def test_a_28x28_picture_of_nothing_is_warned_about():
    assert _codes(_encode(np.zeros((28, 28), np.uint8))) == ["blank"]


# --- previews ------------------------------------------------------------------------------------------------------

def test_a_preview_is_a_png_of_the_same_pixels():
    preview = render_preview(COAT.tobytes())
    with Image.open(io.BytesIO(preview)) as image:
        image.verify()
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(preview))), COAT)
    assert np.array_equal(cv2.imdecode(np.frombuffer(preview, np.uint8), cv2.IMREAD_UNCHANGED), COAT)
    assert read_image(preview).pixels == COAT.tobytes()


# --- the data set's pictures in other clothes ----------------------------------------------------------------------

DISGUISES = {
    "enlarged": (lambda x: _encode(_enlarged(x)), 0),
    "enlarged smoothly": (lambda x: _encode(_enlarged(x, 280, Image.Resampling.BICUBIC)), 8),
    "enlarged, JPEG": (lambda x: _encode(_enlarged(x), "JPEG"), 3),
    "enlarged to 1000": (lambda x: _encode(_enlarged(x, 1000)), 3),
    "inverted": (lambda x: _encode(_enlarged(255 - x)), 0),
    "inverted, JPEG": (lambda x: _encode(_enlarged(255 - x), "JPEG", mode="RGB"), 3),
    "red on black, 28x28": (lambda x: _encode(np.dstack([x, 0 * x, 0 * x])), 3),
    "padded": (lambda x: _encode(np.pad(x, ((3, 20), (40, 2)))), 0),
    "padded, on white": (lambda x: _encode(np.pad(255 - x, 9, constant_values=255)), 0),
    "in a white frame": (lambda x: _encode(np.pad(x, 30, constant_values=255)), 0),
    "cut out, 28x28": (lambda x: _encode(np.dstack([x, (x > 0) * np.uint8(255)])), 0),
    "cut out, enlarged": (lambda x: _encode(_enlarged(np.dstack([x, x, x, (x > 0) * np.uint8(255)]))), 0),
    "white ink": (lambda x: _encode(np.dstack([0 * x + 255, x])), 1),
    "black ink": (lambda x: _encode(np.dstack([0 * x, x])), 1),
}


@pytest.mark.parametrize(("encode", "tolerance"), DISGUISES.values(), ids=DISGUISES)
@pytest.mark.parametrize("pixels", [SNEAKER, COAT], ids=["sneaker", "coat"])
def test_a_picture_of_the_data_set_is_recovered(encode, tolerance, pixels):
    assert _distance(_read(encode(pixels)), pixels) <= tolerance


# --- every format and mode -----------------------------------------------------------------------------------------

MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WebP": ("L", "RGB", "RGBA"),
    "GIF": ("1", "L", "P", "RGB"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"),
}


@pytest.mark.parametrize(("format", "mode"), [(name, mode) for name, modes in MODES.items() for mode in modes])
def test_every_format_and_mode_is_read(format, mode):
    gray = np.asarray(_enlarged(COAT, 112))
    if mode == "I;16":
        image = Image.fromarray(gray.astype(np.uint16) * 257)
    elif mode == "LAB":
        image = Image.merge("LAB", [Image.fromarray(channel) for channel in (gray, 0 * gray + 128, 0 * gray + 128)])
    elif mode == "PA":
        image = Image.fromarray(gray).convert("P").convert("PA")
    else:
        image = Image.fromarray(gray).convert(mode)
    allowed = 60 if mode == "1" else 4
    assert _distance(_read(_encode(image, format)), COAT) < allowed


@pytest.mark.parametrize("compression", ["packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "group4"])
def test_every_usual_compression_of_tiff_is_read(compression):
    mode = "1" if compression == "group4" else "L"
    data = _encode(_enlarged(COAT, 112), "TIFF", mode=mode, compression=compression)
    assert _distance(_read(data), COAT) < (60 if mode == "1" else 4)


def test_a_big_endian_tiff_is_read():
    pixels = COAT.astype(">u2") * 257
    fields = [(256, 3, 28), (257, 3, 28), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
              (278, 3, 28), (279, 4, 1568)]
    entries = b"".join(struct.pack(">HHI", tag, kind, 1) + (
        struct.pack(">Hxx", value) if kind == 3 else struct.pack(">I", value)) for tag, kind, value in fields)
    data = b"MM\0*" + struct.pack(">I", 8 + 1568) + pixels.astype(">u2").tobytes()
    data += struct.pack(">H", len(fields)) + entries + bytes(4)
    assert read_image(data).pixels == COAT.tobytes()


def test_the_first_frame_of_an_animation_counts():
    frames = [Image.fromarray(255 - COAT), Image.fromarray(SNEAKER)]
    for format in ("GIF", "PNG", "TIFF"):
        assert read_image(_encode(COAT, format, save_all=True, append_images=frames)).pixels == COAT.tobytes()
    webp = _encode(COAT, "WebP", save_all=True, append_images=frames, lossless=True)
    assert read_image(webp).pixels == COAT.tobytes()


ORIENTATIONS = {
    1: lambda x: x, 2: np.fliplr, 3: lambda x: np.rot90(x, 2), 4: np.flipud,
    5: np.transpose, 6: np.rot90, 7: lambda x: np.rot90(x, 2).T, 8: lambda x: np.rot90(x, -1),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("format", ["PNG", "WebP", "TIFF"])
def test_exif_orientation_is_honoured(format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(ORIENTATIONS[orientation](SNEAKER))
    options = {"lossless": True} if format == "WebP" else {}
    assert read_image(_encode(stored, format, exif=exif, **options)).pixels == SNEAKER.tobytes()


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation_of_jpegs_is_honoured_at_reduced_scale_too(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(np.kron(ORIENTATIONS[orientation](SNEAKER), np.ones((40, 40), np.uint8)))
    assert _distance(_read(_encode(stored, "JPEG", exif=exif)), SNEAKER) < 6


def test_a_damaged_note_about_orientation_does_not_refuse_the_picture():
    data = _encode(COAT, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert read_image(data).pixels == COAT.tobytes()


# --- transparency --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("colour", [(250, 250, 250), (12, 12, 40), (200, 30, 30), (0, 0, 0)])
def test_a_cut_out_garment_comes_as_a_bright_garment_on_black(colour):
    picture = np.zeros((200, 120, 4), np.uint8)
    picture[..., :3] = 255 - np.array(colour)  # What lies under full transparency must not show.
    picture[20:180, 30:90] = (*colour, 255)
    garment = _read(_encode(picture))
    assert garment[:, 9:19].min() >= 100
    assert garment[:, :8].max() == 0 and garment[:, 20:].max() == 0


def test_a_transparent_colour_of_a_palette_or_of_rgb_counts_as_transparency():
    mask = np.zeros((60, 60), np.uint8)
    mask[10:50, 20:40] = 1
    image = Image.fromarray(mask).convert("P")
    image.putdata(mask.ravel().tolist())
    image.putpalette([0, 255, 0, 240, 240, 240] + [0] * 762)
    for data in (_encode(image, "GIF", transparency=0), _encode(image, transparency=0),
                 _encode(image, mode="RGB", transparency=(0, 255, 0))):
        garment = _read(data)
        assert garment[:, 8:20].min() >= 200 and garment[:, :6].max() == 0


def test_rounded_corners_are_no_outline_of_a_garment():
    alpha = Image.new("L", (280, 280), 255)
    alpha.paste(0, (0, 0, 12, 12))
    picture = _enlarged(255 - COAT).convert("RGB")
    picture.putalpha(alpha)
    assert _distance(_read(_encode(picture)), COAT) < 2


def test_a_picture_that_is_transparent_all_over_is_blank():
    data = _encode(np.zeros((64, 64, 4), np.uint8))
    assert _codes(data) == ["blank"] and _read(data).max() == 0


# --- photos --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("colour", [(150, 40, 60), (20, 25, 60), (90, 160, 90)])
def test_the_garment_of_a_photo_fills_the_picture_bright_on_black(colour):
    data = _encode(_photo(colour), "JPEG", quality=90)
    garment = _read(data)
    assert read_image(data).warnings == ()
    assert garment[14, 10:18].min() >= 90, "cloth is bright"
    assert garment[26, :6].max() == 0 and garment[26, 22:].max() == 0, "the wall is black"
    assert garment.any(axis=1).all() or garment.any(axis=0).all(), "the longest edge is filled"


def test_only_what_was_cut_out_of_a_photo_is_said_to_be_one():
    cut = np.dstack([_photo(), np.full((256, 192), 255, np.uint8)])
    cut[:60, :, 3] = 0
    on_white = np.full((300, 200, 3), 253, np.uint8)
    on_white[40:260, 60:140] = (30, 40, 90)
    assert read_image(_encode(_photo(), "JPEG")).is_photo
    assert read_image(_encode(np.pad(_photo(), ((30, 30), (30, 30), (0, 0)), constant_values=255))).is_photo
    for picture in (COAT, _enlarged(COAT), on_white, cut):
        assert not read_image(_encode(picture)).is_photo


def test_a_garment_that_touches_the_edge_of_its_photo_is_found():
    photo = _photo()[45:225]
    photo[:, :20] = photo[:, -20:] = (160, 170, 165)
    data = _encode(np.ascontiguousarray(photo[30:130]), "JPEG")
    assert "no_foreground" not in _codes(data)
    garment = _read(data)
    assert garment[12:16, 10:18].min() > 80 and (garment == 0).mean() > 0.1


def test_a_large_photo_gives_nearly_what_a_small_one_gives():
    small = _photo(noise=0)
    large = np.asarray(Image.fromarray(small).resize((1920, 2560), Image.Resampling.BICUBIC))
    for data in (_encode(large, "JPEG"), _encode(large)):
        assert _distance(_read(data), _read(_encode(small))) < 12


def test_a_photo_of_a_garment_on_a_white_background_is_negated():
    picture = np.full((300, 200, 3), 253, np.uint8)
    picture[40:260, 60:140] = (30, 40, 90)
    garment = _read(_encode(picture, "JPEG"))
    assert garment[1:-1, 10:18].min() > 200 and garment[:, :7].max() < 10


def test_a_plain_rectangle_is_a_garment_and_not_a_frame():
    picture = np.full((300, 200, 3), 255, np.uint8)
    picture[40:260, 60:140] = (30, 40, 90)
    garment = _read(_encode(picture))
    assert garment[:, 10:18].min() > 200 and garment[:, :8].max() == 0


def test_pale_cloth_on_white_is_still_seen():
    picture = np.full((300, 200), 255, np.uint8)
    picture[40:260, 60:140] = 225
    picture[60:64, 98:102] = 0
    assert _read(_encode(picture))[:, 10:18].mean() > 100


@pytest.mark.parametrize(("picture", "code"), [
    (np.full((90, 60, 3), 200, np.uint8), "blank"),
    (np.asarray(Image.fromarray(SNEAKER).resize((14, 14))), "very_small"),
    (_photo(size=(1200, 100)), "extreme_aspect"),
    (_photo((170, 178, 172), noise=1), "low_contrast"),
    (np.random.default_rng(0).integers(0, 256, (1, 2, 3), np.uint8), "very_small"),
], ids=["one colour", "tiny", "strip", "cloth like wall", "two pixels"])
def test_a_doubtful_picture_is_answered_with_a_warning(picture, code):
    image = read_image(_encode(picture))
    assert code in [warning.code for warning in image.warnings]
    assert all(warning.detail.endswith(".") for warning in image.warnings)
    assert len(image.pixels) == 784


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (2, 3), (27, 28), (28, 29), (8, 900), (33, 5)])
def test_any_size_gives_784_pixels(size):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    for data in (_encode(pixels), _encode(pixels, "JPEG"), _encode(np.dstack([pixels, pixels[..., 0]]))):
        assert len(read_image(data).pixels) == 784


def test_the_same_photo_gives_the_same_pixels_in_every_thread():
    photos = [_encode(_photo(seed=seed), "JPEG") for seed in range(6)]
    alone = [read_image(data).pixels for data in photos]
    cv2.setRNGSeed(12345)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: read_image(data).pixels, photos * 8))
    assert together == alone * 8


# --- what is refused -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("data", [b"hello", b"\0" * 2000, b"{}", b"GIF", b"RIFF\0\0\0\0WAVEfmt ", b"\xff\xd8", b"BM"])
def test_bytes_that_are_no_picture_are_refused(data):
    assert _refusal(data) in ("not_an_image", "truncated")


def test_nothing_at_all_is_refused_as_empty():
    assert _refusal(b"") == "empty"


@pytest.mark.parametrize("data", [
    _encode(COAT, "ICO"), _encode(COAT, "PPM"), _encode(COAT, "JPEG2000"), b"\0\0\0\x1cftypheic\0\0\0\0mif1heic",
    b"\0\0\0\x1cftypavif\0\0\0\0", b"%PDF-1.7", b"8BPS\0\1", b"<svg xmlns='http://www.w3.org/2000/svg'/>",
])
def test_other_formats_are_refused_by_name_and_with_what_to_send(data):
    with pytest.raises(InvalidImage, match="convert the picture to PNG, JPEG, WebP, GIF, BMP or TIFF") as caught:
        read_image(data)
    assert caught.value.code == "unsupported_format"


SMALL = {
    "PNG": _encode(COAT), "PNG RGBA": _encode(_photo(size=(40, 30)), mode="RGBA"),
    "JPEG": _encode(_photo(size=(40, 30)), "JPEG"),
    "JPEG progressive": _encode(_photo(size=(40, 30)), "JPEG", progressive=True),
    "WebP": _encode(_photo(size=(40, 30)), "WebP"), "GIF": _encode(COAT, "GIF"), "BMP": _encode(COAT, "BMP"),
    "BMP 1": _encode(COAT[:, :25], "BMP", mode="1"), "TIFF": _encode(COAT, "TIFF"),
    "TIFF LZW": _encode(COAT, "TIFF", compression="tiff_lzw"),
}


@pytest.mark.parametrize("data", SMALL.values(), ids=SMALL)
def test_a_file_cut_short_anywhere_is_refused(data):
    for length in range(12, len(data)):
        assert _refusal(data[:length]) == "truncated", f"{length} of {len(data)} bytes"


def test_a_damaged_file_is_refused_rather_than_half_read():
    data = bytearray(_encode(COAT))
    data[len(data) // 2] ^= 0xFF
    assert _refusal(bytes(data)) == "damaged"
    body = zlib.compress(bytes(29 * 28))
    assert _refusal(_png(28, 28, _chunk(b"IDAT", b"\xff" + body[1:]))) == "damaged"


@pytest.mark.parametrize("data", SMALL.values(), ids=SMALL)
def test_bytes_after_the_end_do_no_harm(data):
    assert read_image(data + bytes(50)).pixels == read_image(data).pixels


FLAT = zlib.compress(bytes(60_000_000), 9)
BOMBS = {
    "PNG": _png(30_000, 30_000, _chunk(b"IDAT", FLAT)),
    "PNG header alone": _png(30_000, 30_000)[:33],
    "PNG column": _png(1, 23_000_000, _chunk(b"IDAT", FLAT)),
    "GIF screen": b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + SMALL["GIF"][10:],
    "BMP": SMALL["BMP"][:18] + struct.pack("<ii", 30_000, 30_000) + SMALL["BMP"][26:],
    "WebP": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\0" * 4 + b"\xfe\x3f\0" * 2,
    "JPEG": b"".join((
        SMALL["JPEG"][:(at := SMALL["JPEG"].index(b"\xff\xc0") + 5)], b"\xff\xdc\xff\xdc", SMALL["JPEG"][at + 4:],
    )),
}


def _tiff(*fields, tail=b""):
    entries = b"".join(struct.pack("<HHII", *field) for field in sorted(fields))
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4) + tail


GRAY = ((258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1))
BOMBS["TIFF"] = _tiff(
    *GRAY, (256, 4, 1, 30_000), (257, 4, 1, 30_000), (273, 4, 1, 110), (279, 4, 1, len(FLAT)), tail=FLAT,
)
BOMBS["TIFF tile"] = _tiff(
    *GRAY, (256, 4, 1, 40), (257, 4, 1, 40), (322, 4, 1, 20_000), (323, 4, 1, 20_000), (324, 4, 1, 134),
    (325, 4, 1, len(FLAT)), tail=FLAT,
)


def _peak(action):
    """The most memory that Python and numpy take, in bytes, and by how many kB the process grew."""
    action()
    tracemalloc.start()
    before = _resident_kb()
    action()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, _resident_kb() - before


def _resident_kb():
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    return int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")))


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_from_its_header_without_taking_memory(data):
    peak, growth = _peak(lambda: _refusal(data))
    assert _refusal(data) in ("too_many_pixels", "truncated")
    assert peak < 2_000_000 and growth < 8_000


LISTS = {
    "PNG chunks": SMALL["PNG"][:33] + _chunk(b"tEXt", b"") * 100_000 + SMALL["PNG"][33:],
    "PNG text": _png(28, 28, _chunk(b"zTXt", b"a\0\0" + FLAT), _chunk(b"IDAT", zlib.compress(bytes(812)))),
    "PNG profile": _png(28, 28, _chunk(b"iCCP", b"a\0\0" + FLAT), _chunk(b"IDAT", zlib.compress(bytes(812)))),
    "JPEG segments": SMALL["JPEG"][:2] + b"\xff\xe2\0\2" * 100_000 + SMALL["JPEG"][2:],
    "JPEG scans": SMALL["JPEG"][:-2] + SMALL["JPEG"][SMALL["JPEG"].index(b"\xff\xda"):-2] * 200 + b"\xff\xd9",
    "TIFF tags": _tiff(*GRAY, *((1000 + tag, 7, 60_000, 8) for tag in range(60_000))),
}


@pytest.mark.parametrize("data", LISTS.values(), ids=LISTS)
def test_a_file_of_endless_parts_is_refused_without_taking_memory(data):
    peak, growth = _peak(lambda: _refusal(data))
    assert _refusal(data) == "damaged"
    assert peak < 20_000_000 and growth < 8_000


def test_more_data_than_the_picture_needs_is_left_packed():
    data = _png(28, 28, _chunk(b"IDAT", FLAT))
    peak, growth = _peak(lambda: read_image(data))
    assert peak < 2_000_000 and growth < 8_000


def test_the_pixel_limit_is_the_callers():
    data = _encode(np.zeros((40, 50), np.uint8))
    assert len(read_image(data, max_pixels=2000).pixels) == 784
    assert _refusal(data, max_pixels=1999) == "too_many_pixels"


def test_a_large_png_takes_little_more_memory_than_its_own_pixels():
    data = _encode(Image.new("RGBA", (3000, 2000), (10, 20, 30, 255)))
    peak, _ = _peak(lambda: decode(data, 24_000_000))
    assert peak < 6_000_000, "Pillow's own 24 MB are not traced; nothing of the kind may come on top"


FUZZ = """
import random, sys
from ml.images import InvalidImage, read_image

files = [bytes.fromhex(line) for line in sys.stdin.read().split()]
choose = random.Random(int(sys.argv[1]))
read = refused = 0
for _ in range(int(sys.argv[2])):
    data = bytearray(choose.choice(files))
    for _ in range(choose.choice((1, 1, 2, 4, 16))):
        place = choose.randrange(len(data) if choose.random() < 0.5 else min(len(data), 80))
        length = choose.randrange(1, 20)
        match choose.randrange(6):
            case 0 | 1: data[place] = choose.randrange(256)
            case 2: data[place] ^= 1 << choose.randrange(8)
            case 3: data[place:place + 4] = choose.choice((bytes(4), b"\\xff" * 4, b"\\0\\0\\0\\1"))
            case 4: data[place:place + length] = b""
            case 5: data[place:place] = data[place:place + length]
    try:
        assert len(read_image(bytes(data), max_pixels=200_000).pixels) == 784
        read += 1
    except InvalidImage as refusal:
        assert refusal.code and str(refusal)
        refused += 1
print(read, refused)
"""


def test_thousands_of_mutations_end_in_pixels_or_in_one_exception_and_in_silence():
    files = [*SMALL.values(), *(_encode(_enlarged(COAT, 40), format, mode=mode) for format, mode in (
        ("PNG", "P"), ("PNG", "LA"), ("JPEG", "CMYK"), ("GIF", "P"), ("TIFF", "RGB"), ("BMP", "P"), ("WebP", "RGBA"),
    ))]
    files += [_encode(_enlarged(COAT, 40), "TIFF", mode="L", compression=name) for name in ("packbits", "jpeg")]
    process = subprocess.run(
        [sys.executable, "-c", FUZZ, "1", "4000"], input="\n".join(data.hex() for data in files),
        capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=120, check=False,
    )
    assert process.stderr == "" and process.returncode == 0
    read, refused = map(int, process.stdout.split())
    assert read > 300 and refused > 1000


def test_mutations_are_safe_where_warnings_are_errors_too():
    choose = random.Random(2)
    for _ in range(500):
        data = bytearray(choose.choice(list(SMALL.values())))
        data[choose.randrange(len(data))] = choose.randrange(256)
        try:
            read_image(bytes(data), max_pixels=200_000)
        except InvalidImage:
            pass
