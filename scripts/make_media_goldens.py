#!/usr/bin/env python3
"""Writes what the official processors make of images and audio: tests/golden/media/.

  make_media_goldens.py [--out FOLDER]

- sizes.json: [height, width, budget, target height, target width] of many sizes.
- resize.json: test pictures, how large they become, and the FNV-1a hash of every level.
- patches.json: test pictures and the hash of the patches that the image and the video processor
  make of them for 70 soft tokens, resized as they do it.
- mel.json: test sounds, how many frames and tokens they make, and some of the frames.
The pictures and sounds come from a few lines of whole-number arithmetic that the test has as well.

Needs scripts/requirements-torch.txt.
"""

import argparse
import json
import pathlib
import random

import numpy
import torch
from torchvision.transforms.v2 import functional
from transformers.models.gemma4 import (feature_extraction_gemma4, image_processing_gemma4,
                                        video_processing_gemma4)

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/golden/media"
BUDGETS = [70, 140, 280, 560, 1120]


def noise(seed, count):
    """`count` numbers of 32 bits: PCG's multiplier and increment, the upper half."""
    values = numpy.empty(count, dtype=numpy.uint32)
    state = seed
    for i in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        values[i] = state >> 32
    return values


def picture(kind, seed, height, width):
    """[height, width, 3] levels."""
    if kind == "noise":
        return (noise(seed, height * width * 3) >> 24).astype(numpy.uint8).reshape(height, width, 3)
    y, x, c = numpy.meshgrid(numpy.arange(height), numpy.arange(width), numpy.arange(3),
                             indexing="ij")
    if kind == "checker":
        return (((x // 3 + y // 2 + c) % 2) * 255).astype(numpy.uint8)
    return ((x * 7 + y * 5 * (c + 1) + seed) % 256).astype(numpy.uint8)  # ramps with edges


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data.tobytes():
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return f"{value:016x}"


def target(height, width, budget):
    return image_processing_gemma4.get_aspect_ratio_preserving_size(
        height, width, patch_size=16, max_patches=9 * budget, pooling_kernel_size=3)


def sizes():
    rng = random.Random(4)
    rows = []
    for i in range(700):
        if i < 12:
            height, width = [(1, 1), (1, 4000), (4000, 1), (224, 224), (1080, 1920), (480, 640),
                             (3000, 4000), (50, 1000), (768, 768), (48, 48), (1, 100000),
                             (100000, 3)][i]
        elif i < 500:
            height, width = rng.randint(1, 5000), rng.randint(1, 5000)
        else:
            height, width = int(2 ** rng.uniform(0, 15)), int(2 ** rng.uniform(0, 15))
        budget = BUDGETS[i % 5]
        rows.append([height, width, budget, *target(height, width, budget)])
    return rows


def resizes():
    cases = []
    shapes = [(1, 1, 48, 48), (1, 7, 48, 336), (2, 3, 96, 144), (37, 53, 48, 96),
              (100, 100, 384, 384), (300, 200, 288, 192), (300, 200, 96, 48), (97, 211, 97, 144),
              (97, 211, 48, 211), (480, 640, 336, 432), (61, 1009, 48, 528), (700, 90, 144, 48)]
    for i, (height, width, to_height, to_width) in enumerate(shapes):
        for kind in ("noise", "checker", "ramps"):
            levels = torch.from_numpy(picture(kind, i + 1, height, width)).permute(2, 0, 1)
            resized = functional.resize(levels, [to_height, to_width], antialias=True,
                                        interpolation=functional.InterpolationMode.BICUBIC)
            cases.append({"kind": kind, "seed": i + 1, "from": [height, width],
                          "to": [to_height, to_width],
                          "hash": fnv1a(resized.permute(1, 2, 0).contiguous().numpy())})
    return cases


def patches():
    image = image_processing_gemma4.Gemma4ImageProcessor()
    video = video_processing_gemma4.Gemma4VideoProcessor()
    cases = []
    for seed, (height, width) in enumerate([(37, 53), (384, 384), (500, 90)], 1):
        levels = torch.from_numpy(picture("noise", seed, height, width)).permute(2, 0, 1)
        as_image = image([levels], max_soft_tokens=70, return_tensors="pt")
        as_frame = video([levels[None]], do_sample_frames=False, max_soft_tokens=70,
                         return_tensors="pt")
        rows = {}
        for name, made, ids in (
                ("image", as_image["pixel_values"][0], as_image["image_position_ids"][0]),
                ("frame", as_frame["pixel_values_videos"][0], as_frame["video_position_ids"][0])):
            made = made[ids[:, 0] >= 0]
            rows[name] = fnv1a(made.contiguous().numpy())
        cases.append({"seed": seed, "from": [height, width], "patches": len(made), **rows})
    return cases


def sound(seed, count):
    """A tone of whole samples with noise on it, 16-bit levels as floats."""
    t = numpy.arange(count)
    wave = (t * (seed * 37 + 100) % 8001) - 4000 + (noise(seed, count) >> 20).astype(numpy.int64)
    return (wave / 32768).astype(numpy.float32)


def mels():
    extractor = feature_extraction_gemma4.Gemma4AudioFeatureExtractor()
    cases = []
    for seed, count in enumerate([161, 320, 321, 480, 481, 1000, 8000, 20801, 48000], 1):
        made = extractor([sound(seed, count)], sampling_rate=16000, return_tensors="np")
        features = made["input_features"][0]
        features = features[numpy.asarray(made["input_features_mask"][0], dtype=bool)]
        frames = sorted({0, 1, 2, len(features) // 2, len(features) - 2, len(features) - 1})
        frames = [f for f in frames if 0 <= f < len(features)]
        cases.append({"seed": seed, "samples": count, "frames": len(features),
                      "shown": {str(f): [round(float(v), 6) for v in features[f]] for f in frames}})
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=OUT)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, made in (("sizes", sizes()), ("resize", resizes()), ("patches", patches()), ("mel", mels())):
        lines = ",\n".join(json.dumps(row) for row in made)
        (args.out / f"{name}.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
