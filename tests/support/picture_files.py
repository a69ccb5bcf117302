"""Picture files that Pillow does not write: PNG and TIFF of any depth, transparent colours in PNG, ICC profiles."""

from __future__ import annotations

import struct
import zlib

import numpy as np

GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6  # PNG's colour types
SRGB_TO_XYZ = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])  # white is D50
P3_TO_XYZ = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0010, 0.0419, 0.7841]])


def png(samples, color, depth, transparent=None):
    """Bytes of a PNG file of samples [height, width] or [height, width, channels]; `transparent` is its tRNS chunk."""
    height, width = samples.shape[:2]
    rows = samples.reshape(height, -1)
    if depth < 8:
        bits = (rows[..., None] >> np.arange(depth)[::-1]) & 1
        packed = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    else:
        packed = rows.astype(f">u{depth // 8}").view(np.uint8).reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in packed)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))]
    if transparent is not None:
        chunks.append((b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)))
    chunks += [(b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(samples, order="<", white_is_zero=False, bits=None):
    """Bytes of a TIFF file of gray samples [height, width] of any numpy type, in either byte order."""
    height, width = samples.shape
    kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    bits = bits or samples.dtype.itemsize * 8
    if bits == 12:
        digits = (samples[..., None].astype(np.uint16) >> np.arange(12)[::-1]) & 1
        data = np.packbits(digits.reshape(height, -1).astype(np.uint8), axis=1).tobytes()
    else:
        data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    photometric = 0 if white_is_zero else 1
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height, 279: len(data)}
    tags |= {339: kind}
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(data))
    entries = [
        struct.pack(f"{order}HHII", tag, 4, 1, value)
        if tag in (256, 257, 273, 278, 279)
        else struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
        for tag, value in sorted(tags.items())
    ]
    return head + data + struct.pack(f"{order}H", len(tags)) + b"".join(entries) + struct.pack(f"{order}I", 0)


def rgb_profile(to_xyz, gamma):
    """An ICC profile of three primaries, the columns of `to_xyz`, and a gamma."""
    tags = {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), to_xyz.T, strict=True)}
    tags |= {b"wtpt": _xyz(to_xyz.sum(1)), **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma))}
    return _profile(b"RGB ", b"XYZ ", b"mntr", tags)


def gray_profile(gamma):
    """An ICC profile of gray with a gamma."""
    return _profile(b"GRAY", b"XYZ ", b"mntr", {b"wtpt": _xyz(SRGB_TO_XYZ.sum(1)), b"kTRC": _curve(gamma)})


def cmyk_profile():
    """An ICC profile of four inks whose colours differ from Pillow's rule; the inks darken by different amounts."""
    nodes = []
    for number in range(16):
        cyan, magenta, yellow, black = ((number >> shift) & 1 for shift in (3, 2, 1, 0))
        lightness = 255 * (1 - black) * (1 - 0.6 * cyan) * (1 - 0.4 * magenta) * (1 - 0.1 * yellow)
        tint = 0 if black else 1
        nodes += [lightness, 128 + tint * (60 * magenta - 30 * cyan), 128 + tint * (60 * yellow - 40 * cyan)]
    same = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 if number % 4 == 0 else 0 for number in range(9)))
    table = (
        b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + same * 4 + bytes(round(node) for node in nodes) + same * 3
    )
    return _profile(b"CMYK", b"Lab ", b"prtr", {b"A2B0": table, b"wtpt": _xyz(SRGB_TO_XYZ.sum(1))})


def _profile(space, connection, kind, tags):
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += padded
    white = struct.pack(">3i", *(round(value * 65536) for value in (0.9642, 1.0, 0.8249)))
    head = struct.pack(">I4sI", at + len(body), bytes(4), 0x02400000) + kind + space + connection + bytes(12) + b"acsp"
    head += bytes(68 - len(head)) + white
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


def _xyz(values):
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _curve(gamma):
    """A tone curve; for gamma None, sRGB's own curve by its formula."""
    if gamma is None:
        numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
        return b"para" + bytes(4) + struct.pack(">HH5i", 3, 0, *(round(number * 65536) for number in numbers))
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
