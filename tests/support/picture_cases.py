"""Picture files of many formats and modes, each with the pixels that a person should see, computed independently."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms, features

from support.picture_files import (
    GRAY,
    GRAY_ALPHA,
    P3_TO_XYZ,
    RGB,
    RGBA,
    SRGB_TO_XYZ,
    cmyk_profile,
    gray_profile,
    png,
    rgb_profile,
    tiff,
)

HEIGHT, WIDTH = 72, 96  # pixels: whole tokens of 12, so that Qwen's reader resizes nothing
X, Y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
SMOOTH = np.stack([X * 2, Y * 3, 255 - X - Y], -1).astype(np.uint8)  # red to the right, green downwards
RAMP = (Y * WIDTH + X).astype(np.int64)  # 0 to 6911
ALPHA = np.where(X < WIDTH // 2, 255, 0).astype(np.uint8)  # the right half is transparent
LEVELS = np.where(X < WIDTH // 2, X * 5, 17).astype(np.uint8)  # gray levels; 17 is the transparent one
LEVELS[LEVELS == 17] = 16
LEVELS[:, WIDTH // 2 :] = 17


def gray(levels):
    """Gray levels as RGB pixels."""
    return np.repeat(np.asarray(levels).astype(np.uint8)[..., None], 3, -1)


def over_white(shown, alpha=ALPHA):
    """The picture over white: opaque where alpha is 255, white where it is 0."""
    return np.where(alpha[..., None] == 255, shown, 255).astype(np.uint8)


def encoded(pixels, name, mode=None, **options):
    """A file's bytes, written by Pillow."""
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels, mode=None)
    file = io.BytesIO()
    (picture if mode is None else picture.convert(mode)).save(file, name, **options)
    return file.getvalue()


def exif(orientation):
    made = Image.Exif()
    made[274] = orientation
    return made


def turned(upright, orientation):
    """The stored pixels that this orientation makes upright, by EXIF's definition."""
    stored = {
        1: lambda: upright,
        2: lambda: upright[:, ::-1],
        3: lambda: upright[::-1, ::-1],
        4: lambda: upright[::-1],
        5: lambda: upright.transpose(1, 0, 2),
        6: lambda: np.rot90(upright),
        7: lambda: upright[::-1, ::-1].transpose(1, 0, 2),
        8: lambda: np.rot90(upright, -1),
    }[orientation]()
    return np.ascontiguousarray(stored)


def spread(values):
    low, high = np.nanmin(values), np.nanmax(values)
    return np.round((values.astype(np.float64) - low) / (high - low) * 255)


def palette(transparent):
    """A picture of two colours, the second of them transparent."""
    picture = Image.fromarray((ALPHA == 0).astype(np.uint8))
    picture = Image.frombytes("P", picture.size, picture.tobytes())
    picture.putpalette([200, 30, 60, 0, 90, 0])
    picture.info["transparency"] = transparent
    return picture


def from_profile(pixels, to_xyz, gamma):
    """Convert pixels through XYZ to sRGB, by the formulas."""
    linear = (pixels / 255.0) ** gamma @ to_xyz.T @ np.linalg.inv(SRGB_TO_XYZ).T
    linear = linear.clip(0, 1)
    return (np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 255).round()


def by_pillow(picture, profile):
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return np.asarray(ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB"))


def inks(pixels):
    """A CMYK picture that has these colours by Pillow's rule, with a third of the maximal black."""
    black = (255 - pixels.max(-1, keepdims=True).astype(int)) // 3
    colors = 255 - pixels.astype(int) * 255 // (255 - black)
    return Image.fromarray(np.concatenate([colors, black], -1).clip(0, 255).astype(np.uint8), mode="CMYK")


def ycck(pixels):
    """A JPEG of inks as luma and chroma: Adobe's transform 2, which Pillow cannot write, so the byte is set here."""
    whole = np.asarray(inks(pixels))
    luma = np.asarray(Image.fromarray(np.ascontiguousarray(whole[..., :3])).convert("YCbCr"))
    planes = Image.fromarray(np.concatenate([255 - luma, whole[..., 3:]], -1), mode="CMYK")
    data = bytearray(encoded(planes, "JPEG", quality=100, subsampling=0))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


CASES = {}  # name: (the file's bytes, expected pixels, tolerance per pixel)
SOFT = {"quality": 95, "subsampling": 0}
LOSSY = {"jpeg": ("JPEG", SOFT, 6), "mpo": ("MPO", SOFT, 6)}
PLAIN = {
    "png": ("PNG", {}, 0),
    "webp": ("WEBP", {"lossless": True}, 0),
    "tiff": ("TIFF", {}, 0),
    "tiff-lzw": ("TIFF", {"compression": "tiff_lzw"}, 0),
    **LOSSY,
}
if features.check("avif"):
    PLAIN["avif"] = ("AVIF", {"quality": 95, "subsampling": "4:4:4"}, 8)
for short, (written, settings, apart) in PLAIN.items():
    for number in range(1, 9):
        CASES[f"{short} orientation {number}"] = (
            encoded(turned(SMOOTH, number), written, exif=exif(number), **settings), SMOOTH, apart
        )  # fmt: skip

SIXTEEN = (RAMP * 9).astype(np.uint16)
CASES |= {
    "png 16 bits": (png(SIXTEEN, GRAY, 16), gray(SIXTEEN >> 8), 0),
    "png 16 bits rgb": (png(SMOOTH.astype(np.uint16) * 256 + 99, RGB, 16), SMOOTH, 0),
    "tiff 16 bits": (tiff(SIXTEEN), gray(SIXTEEN >> 8), 0),
    "tiff 16 bits big-endian": (tiff(SIXTEEN, ">"), gray(SIXTEEN >> 8), 0),
    "tiff 16 bits white is zero": (tiff(SIXTEEN, white_is_zero=True), 255 - gray(SIXTEEN >> 8), 0),
    "tiff 16 bits deflated": (
        encoded(Image.fromarray(SIXTEEN), "TIFF", compression="tiff_deflate"), gray(SIXTEEN >> 8), 0
    ),
    "tiff 12 bits": (tiff((RAMP % 4096).astype(np.uint16), bits=12), gray((RAMP % 4096) >> 4), 0),
    "tiff 16 bits signed": (tiff((RAMP - 3000).astype(np.int16)), gray(spread(RAMP)), 0),
    "tiff 32 bits signed": (tiff(((RAMP - 3000) * 9).astype(np.int32)), gray(spread(RAMP)), 0),
    "tiff 32 bits signed big-endian": (tiff(((RAMP - 3000) * 9).astype(np.int32), ">"), gray(spread(RAMP)), 0),
    "tiff 32 bits unsigned": (tiff((RAMP * 600_000).astype(np.uint32)), gray(spread(RAMP)), 0),
    "tiff floats from 0 to 1": (tiff((RAMP / RAMP.max()).astype(np.float32)), gray(spread(RAMP)), 1),
    "tiff floats big-endian": (tiff((RAMP / 7 - 400).astype(np.float32), ">"), gray(spread(RAMP)), 1),
    "tiff floats, some no numbers": (
        tiff(np.where(X == 5, np.nan, RAMP).astype(np.float32)), gray(np.where(X == 5, 0, spread(RAMP))), 1
    ),
    "tiff floats of one value": (tiff(np.full((HEIGHT, WIDTH), 3, np.float32)), gray(RAMP * 0), 0),
    "pgm 16 bits": (b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + SIXTEEN.astype(">u2").tobytes(), gray(SIXTEEN >> 8), 0),
}  # fmt: skip
if features.check("jpg_2000"):
    deep = encoded(Image.fromarray(SIXTEEN), "JPEG2000", irreversible=False)
    CASES["jpeg 2000 16 bits"] = (deep, gray(SIXTEEN >> 8), 0)

WITH_ALPHA = np.concatenate([SMOOTH, ALPHA[..., None]], -1)
HALF = np.full((HEIGHT, WIDTH, 1), 128, np.uint8)
HALF_SHOWN = np.round(SMOOTH * (128 / 255) + 255 * (127 / 255))
TWO = over_white(np.broadcast_to(np.array([200, 30, 60]), (HEIGHT, WIDTH, 3)))
DIGITS = (ALPHA == 0).astype(np.uint8)
CASES |= {
    "png rgba": (encoded(WITH_ALPHA, "PNG"), over_white(SMOOTH), 0),
    "png rgba half": (encoded(np.concatenate([SMOOTH, HALF], -1), "PNG"), HALF_SHOWN, 1),
    "webp rgba": (encoded(WITH_ALPHA, "WEBP", lossless=True), over_white(SMOOTH), 0),
    "tiff rgba": (encoded(WITH_ALPHA, "TIFF"), over_white(SMOOTH), 0),
    "tga rgba": (encoded(WITH_ALPHA, "TGA"), over_white(SMOOTH), 0),
    "png rgba turned": (encoded(turned(WITH_ALPHA, 6), "PNG", exif=exif(6)), over_white(SMOOTH), 0),
    "png rgba 16 bits": (png(WITH_ALPHA.astype(np.uint16) * 257, RGBA, 16), over_white(SMOOTH), 0),
    "png la": (encoded(np.stack([SMOOTH[..., 0], ALPHA], -1), "PNG"), over_white(gray(SMOOTH[..., 0])), 0),
    "png la 16 bits": (
        png(np.stack([SIXTEEN, ALPHA * np.uint16(257)], -1), GRAY_ALPHA, 16), over_white(gray(SIXTEEN >> 8)), 0
    ),
    "png palette one transparent": (encoded(palette(1), "PNG"), TWO, 0),
    "png palette alphas": (encoded(palette(b"\xff\x00"), "PNG"), TWO, 0),
    "png palette half": (
        encoded(palette(b"\xff\x80"), "PNG"), np.where(TWO == 255, np.array([127, 172, 127]), TWO), 1
    ),
    "gif transparent": (encoded(palette(1), "GIF"), TWO, 0),
    "webp palette": (encoded(palette(1), "WEBP", lossless=True), TWO, 0),
    "png gray, one transparent": (png(LEVELS, GRAY, 8, [17]), over_white(gray(LEVELS)), 0),
    "png gray 16 bits, one transparent": (
        png(np.where(ALPHA, SIXTEEN, 5 * 256 + 1), GRAY, 16, [5 * 256 + 1]),
        over_white(gray(SIXTEEN >> 8), np.where(SIXTEEN == 5 * 256 + 1, 0, ALPHA)), 0,
    ),
    "png gray 4 bits, one transparent": (png(DIGITS * 9 + 3, GRAY, 4, [12]), over_white(gray(DIGITS * 0 + 51)), 0),
    "png gray 2 bits, one transparent": (png(DIGITS + 1, GRAY, 2, [2]), over_white(gray(DIGITS * 0 + 85)), 0),
    "png 1 bit, white transparent": (png(DIGITS, GRAY, 1, [1]), over_white(gray(DIGITS * 0)), 0),
    "png 1 bit, black transparent": (png(1 - DIGITS, GRAY, 1, [0]), gray(DIGITS * 0 + 255), 0),
    "png rgb, one transparent": (
        png(np.where(ALPHA[..., None], SMOOTH, [1, 2, 3]), RGB, 8, [1, 2, 3]), over_white(SMOOTH), 0
    ),
    "png rgb 16 bits, one transparent": (
        png(np.where(ALPHA[..., None], SMOOTH.astype(np.uint16) * 257, [256, 512, 999]), RGB, 16, [256, 512, 999]),
        over_white(SMOOTH), 0,
    ),
}  # fmt: skip

P3, DIM, INKS = rgb_profile(P3_TO_XYZ, 2.2), gray_profile(1.8), cmyk_profile()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
WIDE = encoded(SMOOTH, "JPEG", icc_profile=P3, **SOFT)
IN_SRGB = from_profile(SMOOTH, P3_TO_XYZ, 2.2)
LIT = from_profile(gray(SMOOTH[..., 0]), SRGB_TO_XYZ, 1.8)
CASES |= {
    "jpeg cmyk": (encoded(inks(SMOOTH), "JPEG", quality=100, subsampling=0), SMOOTH, 6),
    "jpeg ycck": (ycck(SMOOTH), SMOOTH, 8),
    "tiff cmyk": (encoded(inks(SMOOTH), "TIFF"), SMOOTH, 3),
    "tiff cmyk, profile": (encoded(inks(SMOOTH), "TIFF", icc_profile=INKS), by_pillow(inks(SMOOTH), INKS), 0),
    "jpeg gray": (encoded(SMOOTH[..., 0], "JPEG", quality=95), gray(SMOOTH[..., 0]), 4),
    "jpeg wide gamut": (WIDE, by_pillow(Image.open(io.BytesIO(WIDE)), P3), 0),
    "png wide gamut": (encoded(SMOOTH, "PNG", icc_profile=P3), IN_SRGB, 3),
    "webp wide gamut": (encoded(SMOOTH, "WEBP", lossless=True, icc_profile=P3), IN_SRGB, 3),
    "tiff wide gamut": (encoded(SMOOTH, "TIFF", icc_profile=P3), IN_SRGB, 3),
    "png rgba wide gamut": (encoded(WITH_ALPHA, "PNG", icc_profile=P3), over_white(IN_SRGB), 3),
    "png gray, another gamma": (encoded(SMOOTH[..., 0], "PNG", icc_profile=DIM), LIT, 3),
    "png, profile of sRGB": (encoded(SMOOTH, "PNG", icc_profile=SRGB), SMOOTH, 0),
    "png, profile of sRGB by another maker": (
        encoded(SMOOTH, "PNG", icc_profile=rgb_profile(SRGB_TO_XYZ + 1e-4, None)), SMOOTH, 0,
    ),
    "png, broken profile": (encoded(SMOOTH, "PNG", icc_profile=P3[:150]), SMOOTH, 0),
    "png, profile of other channels": (encoded(SMOOTH, "PNG", icc_profile=DIM), SMOOTH, 0),
    "png, no profile at all": (encoded(SMOOTH, "PNG", icc_profile=b"not a profile"), SMOOTH, 0),
    "bmp": (encoded(SMOOTH, "BMP"), SMOOTH, 0),
    "ppm": (encoded(SMOOTH, "PPM"), SMOOTH, 0),
    "tiff 1 bit": (encoded(Image.fromarray(DIGITS * 255), "TIFF", "1"), gray(DIGITS * 255), 0),
    "tiff lab": (encoded(Image.fromarray(np.full((HEIGHT, WIDTH, 3), (128, 0, 0), np.uint8), mode="LAB"), "TIFF"),
                 gray(DIGITS * 0 + 119), 2),
}  # fmt: skip
