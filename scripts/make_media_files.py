#!/usr/bin/env python3
"""Writes small image files and what the official processor sees in them: tests/golden/media/.

  make_media_files.py [--out FOLDER]

- files/: pictures of every kind that clients send, each below 2 KB.
- files.json: [name, width, height, FNV-1a hash of the RGB levels row by row], as torchvision
  decodes the bytes (decode_image, mode RGB, orientation applied), which is what the processor of
  transformers does with a data URL. Where that gives nothing of use the picture itself is the
  measure: 16-bit PNG (the high byte) and animated WebP (the first frame).

Needs scripts/requirements-torch.txt and Pillow.
"""

import argparse
import io
import json
import pathlib
import struct
import zlib

import numpy
import torch
from PIL import Image
from torchvision.io import decode_image

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/golden/media"
WIDTH, HEIGHT = 23, 17  # odd, so that halved chroma and passes have edges
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
         (0, 1, 1, 2)]


def levels(channels, width=WIDTH, height=HEIGHT, bits=8):
    """[height, width, channels]: ramps with edges, other ones in each channel."""
    y, x, c = numpy.meshgrid(numpy.arange(height), numpy.arange(width), numpy.arange(channels),
                             indexing="ij")
    made = (x * (7 + 3 * c) + y * (5 + 4 * c) + (x // 6 + y // 5) % 2 * 90) * (c + 1)
    if bits == 16:
        made = made * 257 + made % 251  # low bytes of their own
    return made % (1 << bits)


def picture(mode, **size):
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    made = levels(channels, **size).astype(numpy.uint8)
    return Image.fromarray(made[:, :, 0] if channels == 1 else made, mode)


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def exif(orientation):
    made = Image.Exif()
    made[0x0112] = orientation
    return made.tobytes()


def png(values, color_type, bits, interlaced=False, chunks=()):
    """Of [height, width, channels]; written here, since Pillow writes no 16-bit RGB and no Adam7."""
    height, width, channels = values.shape
    rows = b""
    for left, top, step_x, step_y in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        part = values[top::step_y, left::step_x]
        if part.size:
            for row in part:
                if bits >= 8:
                    data = row.astype(">u2" if bits == 16 else "u1").tobytes()
                else:
                    text = "".join(format(int(v), f"0{bits}b") for v in row[:, 0])
                    text += "0" * (-len(text) % 8)
                    data = bytes(int(text[i:i + 8], 2) for i in range(0, len(text), 8))
                rows += b"\0" + data
    head = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, int(interlaced))
    made = b"\x89PNG\r\n\x1a\n"
    for name, data in [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]:
        made += struct.pack(">I", len(data)) + name + data
        made += struct.pack(">I", zlib.crc32(name + data))
    return made


def jpegs():
    rgb = picture("RGB")
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        yield f"{name}.jpg", saved(rgb, "JPEG", quality=60, subsampling=sampling)
    yield "progressive.jpg", saved(rgb, "JPEG", quality=60, subsampling=2, progressive=True)
    yield "rgb.jpg", saved(rgb, "JPEG", quality=60, keep_rgb=True)
    yield "gray.jpg", saved(picture("L"), "JPEG", quality=60)
    cmyk = saved(picture("CMYK"), "JPEG", quality=60)
    yield "cmyk.jpg", cmyk
    # Adobe's marker says with 2 that the inks are stored as YCCK: other colours, same bytes.
    at = cmyk.index(b"Adobe") + 11
    yield "ycck.jpg", cmyk[:at] + b"\2" + cmyk[at + 1:]
    at = cmyk.index(b"\xff\xee")
    (length,) = struct.unpack(">H", cmyk[at + 2:at + 4])
    yield "cmyk_not_adobe.jpg", cmyk[:at] + cmyk[at + 2 + length:]
    small = picture("RGB", width=9, height=6)
    for orientation in range(1, 9):
        yield (f"exif_{orientation}.jpg",
               saved(small, "JPEG", quality=60, subsampling=0, exif=exif(orientation)))
    yield "exif_9.jpg", saved(small, "JPEG", quality=60, exif=exif(9))
    big_endian = (b"Exif\0\0MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) +
                  b"\0\0\0\0")
    yield "exif_6_big_endian.jpg", saved(small, "JPEG", quality=60, exif=big_endian)


def pngs():
    for mode in ("RGB", "RGBA", "LA", "L"):
        yield f"{mode.lower()}.png", saved(picture(mode), "PNG")
    palette = picture("RGB").quantize(16)
    yield "palette.png", saved(palette, "PNG")
    yield "palette_transparent.png", saved(palette, "PNG", transparency=bytes([0, 128, 255, 7]))
    yield "rgb_transparent.png", saved(picture("RGB"), "PNG", transparency=(0, 0, 0))
    yield "gray_transparent.png", saved(picture("L"), "PNG", transparency=90)
    yield "bilevel.png", saved(picture("L").convert("1"), "PNG")
    for bits in (2, 4):
        yield f"gray_{bits}.png", png(levels(1, bits=8) >> (8 - bits), 0, bits)
    yield "exif_6.png", saved(picture("RGB", width=9, height=6), "PNG", exif=exif(6))
    yield "interlaced.png", png(levels(3), 2, 8, interlaced=True)
    yield "interlaced_alpha.png", png(levels(4), 6, 8, interlaced=True)
    yield "interlaced_bilevel.png", png(levels(1) >> 7, 0, 1, interlaced=True)
    yield "one.png", png(levels(3, width=1, height=1), 2, 8)


def webps():
    rgb, rgba = picture("RGB"), picture("RGBA")
    yield "lossy.webp", saved(rgb, "WEBP", quality=60)
    yield "lossless.webp", saved(rgb, "WEBP", lossless=True)
    yield "lossy_alpha.webp", saved(rgba, "WEBP", quality=60, exact=True)
    yield "lossless_alpha.webp", saved(rgba, "WEBP", lossless=True, exact=True)
    yield "exif_6.webp", saved(rgb, "WEBP", lossless=True, exif=exif(6))


def gifs():
    palette = picture("RGB").quantize(16)
    plain = saved(palette, "GIF", interlace=0)
    yield "plain.gif", plain
    yield "interlaced.gif", saved(palette, "GIF", interlace=1)
    yield "transparent.gif", saved(palette, "GIF", transparency=3)
    more = [picture("RGB").rotate(90 * i).quantize(8) for i in (1, 2)]
    yield "animated.gif", saved(palette, "GIF", save_all=True, append_images=more, loop=0)
    # On a larger canvas, away from its corner.
    at = plain.index(b"\x2c\0\0\0\0" + struct.pack("<HH", WIDTH, HEIGHT))
    yield "offset.gif", (plain[:6] + struct.pack("<HH", WIDTH + 9, HEIGHT + 7) + plain[10:at] +
                         b"\x2c" + struct.pack("<HH", 5, 4) + plain[at + 5:])


def own_measures():
    """Files and the pixels that they must give, where torchvision is no measure."""
    rgb16, gray16, alpha16 = (levels(n, width=13, height=9, bits=16) for n in (3, 1, 4))
    yield "rgb_16.png", png(rgb16, 2, 16), rgb16 >> 8
    yield "gray_16.png", png(gray16, 0, 16), numpy.repeat(gray16 >> 8, 3, axis=2)
    yield "rgba_16_interlaced.png", png(alpha16, 6, 16, interlaced=True), alpha16[:, :, :3] >> 8
    frames = [picture("RGB"), picture("RGB").rotate(180)]
    animated = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    yield "animated.webp", animated, numpy.asarray(frames[0])


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return f"{value:016x}"


def official(data):
    made = decode_image(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode="RGB",
                        apply_exif_orientation=True)
    if made.ndim == 4:  # all frames of a GIF
        made = made[0]
    return made.permute(1, 2, 0).contiguous().numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=OUT)
    args = parser.parse_args()
    (args.out / "files").mkdir(parents=True, exist_ok=True)
    made = [(name, data, official(data))
            for source in (jpegs, pngs, webps, gifs) for name, data in source()]
    made += list(own_measures())
    rows = []
    for name, data, rgb in made:
        (args.out / "files" / name).write_bytes(data)
        height, width, _ = rgb.shape
        rows.append([name, width, height, fnv1a(rgb.astype(numpy.uint8).tobytes())])
    lines = ",\n".join(json.dumps(row) for row in rows)
    (args.out / "files.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
