#!/usr/bin/env python3
"""Writes the tiny checkpoints with vision towers of tests/golden/checkpoints and the official outputs.

A checkpoint is a folder as published with random weights; golden.safetensors and golden.json beside
it hold what the transformers implementation answers to the pictures of `picture()`, which tests
draw again. Needs scripts/requirements-torch.txt; runs on one CPU thread.

  make_vision_goldens.py                 both checkpoints
  make_vision_goldens.py vision_large    only this
"""

import argparse
import hashlib
import json
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import safetensors.torch
import torch
import transformers

import make_goldens

OUT = make_goldens.OUT
GREEDY_STEPS = 12
# width, height, budget: both orientations, one pixel, a picture beyond the tower's own sizes.
PICTURES = [(96, 96, 70), (200, 90, 70), (1, 1, 70), (64, 300, 140), (500, 333, 70)]
PROMPTS = [  # what stands in them: a number of text tokens, or "iN" for picture N
    [3, "i0", 5], ["i1", "i2", 9], [4, "i3", 2, "i4", 6, "i0", 3]]


def architectures():
    vision = dict(
        attention_bias=False, attention_dropout=0.0, dtype="bfloat16",
        hidden_activation="gelu_pytorch_tanh", model_type="gemma4_vision", patch_size=16,
        pooling_kernel_size=3, position_embedding_size=96, rms_norm_eps=1e-6,
        rope_parameters=dict(rope_theta=100.0, rope_type="default"), num_hidden_layers=3)
    base = make_goldens.architectures()
    return {
        # E2B: clipped linear layers, causal images, per-layer embeddings, shared K/V.
        "vision_small": dict(base["e2b"], window=24, vocab=331, tokenizer=False, redundant_kv=False,
                      text=dict(base["e2b"]["text"],
                                layer_types=make_goldens.layer_types("sfssf", 5),
                                num_kv_shared_layers=2),
                      vision=dict(vision, hidden_size=48, intermediate_size=80, head_dim=16,
                                  num_attention_heads=3, num_key_value_heads=3,
                                  standardize=False, use_clipped_linears=True)),
        # 26B-A4B: a standardised tower whose heads fill no whole lanes, images that see themselves
        # both ways, K = V, experts; a global layer before the last one.
        "vision_large": dict(base["moe_text"], window=24, vocab=259, text_only=False, shard=None,
                      text=dict(base["moe_text"]["text"],
                                layer_types=make_goldens.layer_types("sfs", 3)),
                      vision=dict(vision, hidden_size=60, intermediate_size=88, head_dim=20,
                                  num_attention_heads=3, num_key_value_heads=3,
                                  standardize=True, use_clipped_linears=False)),
    }


def picture(width, height, seed):
    """[height, width, 3] bytes, the same as in tests/engine/golden_pictures.h."""
    y, x = np.mgrid[0:height, 0:width]
    levels = [(x * (3 + seed) + y * (5 + c) + (x * y) % (17 + c) * (4 + seed)) % 256
              for c in range(3)]
    return np.stack(levels, -1).astype(np.uint8)


def full_config(arch):
    config = make_goldens.full_config(arch)
    config["vision_config"] = arch["vision"]
    return config


def random_tensor(name, shape, seed, arch):
    """As make_goldens has them; towers are mild, their clips clip."""
    if "vision_tower" not in name and "embed_vision" not in name:
        return make_goldens.random_tensor(name, shape, seed, arch["vocab"], True)
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    leaf = name.removesuffix(".weight").rsplit(".", 1)[-1]
    if leaf.endswith(("_min", "_max")):
        bound = rng.uniform(0.8, 2.0)
        value = np.asarray(-bound if leaf.endswith("_min") else bound)
    elif leaf == "std_scale":
        value = rng.uniform(0.5, 1.5, size=shape)
    elif leaf == "std_bias":
        value = 0.5 * rng.standard_normal(shape)
    elif leaf == "position_embedding_table":
        value = 0.3 * rng.standard_normal(shape)
    elif "embed_vision" in name:
        value = 0.4 * rng.standard_normal(shape) / shape[-1] ** 0.5
    else:
        return make_goldens.random_tensor(name, shape, seed, arch["vocab"], True)
    return torch.from_numpy(np.asarray(value, dtype=np.float32))


def write_checkpoint(arch, folder, seed):
    folder.mkdir(parents=True, exist_ok=True)
    make_goldens.write_json(folder / "config.json", full_config(arch))
    make_goldens.write_json(folder / "generation_config.json",
                            make_goldens.generation_config(arch))
    with torch.device("meta"):
        model = transformers.AutoModelForImageTextToText.from_config(
            transformers.AutoConfig.from_pretrained(folder))
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    del shapes["lm_head.weight"]
    tensors = {name: random_tensor(name, shape, seed, arch).to(torch.bfloat16)
               for name, shape in sorted(shapes.items())}
    safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def load(folder):
    model, info = transformers.AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True)
    problems = {k: v for k, v in info.items() if v}
    if problems:
        sys.exit(f"{folder}: not loaded whole: {problems}")
    return model.eval()


def encoded(budget, pixels):
    """pixel_values [1, 9 * budget, 768], image_position_ids, the number of soft tokens."""
    processor = transformers.Gemma4ImageProcessor(max_soft_tokens=budget)
    made = processor(images=[torch.from_numpy(pixels).permute(2, 0, 1)], return_tensors="pt")
    count = int((made["image_position_ids"][0, :, 0] >= 0).sum()) // 9
    return made["pixel_values"], made["image_position_ids"], count


def soft_tokens(model, values, positions):
    with torch.no_grad():
        out = model.model.get_image_features(values, positions)
    return out.pooler_output[0]


def prompt_of(parts, counts, arch, rng):
    """ids, token types, the pictures in order."""
    first = arch["vocab"] - make_goldens.MEDIA_IDS
    begin, placeholder, end = first, first + 2, first + 4
    ids, types, pictures = [2], [0], []
    for part in parts:
        if isinstance(part, int):
            ids += rng.integers(make_goldens.FIRST_TEXT_ID, first, size=part).tolist()
            types += [0] * part
            continue
        pictures.append(int(part[1:]))
        n = counts[pictures[-1]]
        ids += [begin] + [placeholder] * n + [end]
        types += [0] + [1] * n + [0]
    return ids, types, pictures


def answer(model, ids, types, values, positions):
    """Logits of all positions and the greedy continuation; one step after another, without cache."""
    tokens, kinds, logits = list(ids), list(types), None
    for _ in range(GREEDY_STEPS + 1):
        with torch.no_grad():
            out = model(input_ids=torch.tensor([tokens]), mm_token_type_ids=torch.tensor([kinds]),
                        pixel_values=values, image_position_ids=positions, use_cache=False).logits[0]
        logits = out if logits is None else logits
        if len(tokens) == len(ids) + GREEDY_STEPS:
            break
        top = torch.topk(out[-1], 2)
        if float(top.values[0] - top.values[1]) < make_goldens.MIN_MARGIN:
            return None
        tokens.append(int(top.indices[0]))
        kinds.append(0)
    first = min(tokens[len(ids):])
    return (logits, tokens[len(ids):]) if first >= make_goldens.FIRST_TEXT_ID else None


def golden(model, arch, seed):
    rng = np.random.default_rng(seed)
    tap = make_goldens.RouterTap(model)
    made = [encoded(budget, picture(w, h, i)) for i, (w, h, budget) in enumerate(PICTURES)]
    tensors = {}
    for i, (values, positions, count) in enumerate(made):
        tensors[f"soft_tokens.{i}"] = soft_tokens(model, values, positions)
    counts = [m[2] for m in made]
    for i, parts in enumerate(PROMPTS):
        for _ in range(60):
            ids, types, pictures = prompt_of(parts, counts, arch, rng)
            longest = max(made[p][0].shape[1] for p in pictures)
            values = torch.cat([pad(made[p][0], longest, 0.0) for p in pictures])
            positions = torch.cat([pad(made[p][1], longest, -1) for p in pictures])
            tap.take()
            found = answer(model, ids, types, values, positions)
            if found and tap.smallest_gap(tap.take()) > make_goldens.MIN_ROUTER_GAP:
                break
        else:
            return None
        tensors[f"prompt.{i}.ids"] = torch.tensor(ids, dtype=torch.int32)
        tensors[f"prompt.{i}.logits"] = found[0]
        tensors[f"prompt.{i}.greedy_ids"] = torch.tensor(found[1], dtype=torch.int32)
    return {k: v.detach().clone().contiguous() for k, v in tensors.items()}, counts


def pad(rows, length, value):
    missing = length - rows.shape[1]
    return torch.nn.functional.pad(rows, (0, 0, 0, missing), value=value)


def make(name, arch):
    scratch = tempfile.TemporaryDirectory()
    folder = pathlib.Path(scratch.name) / name
    for seed in range(1, 30):
        shutil.rmtree(folder, ignore_errors=True)
        write_checkpoint(arch, folder, seed)
        found = golden(load(folder), arch, seed)
        if found:
            break
    else:
        sys.exit(f"{name}: no seed gives clear margins")
    tensors, counts = found
    safetensors.torch.save_file(tensors, folder / "golden.safetensors")
    make_goldens.write_json(folder / "golden.json", dict(
        name=name, seed=seed, window=arch["window"], vocab_size=arch["vocab"],
        pictures=[dict(width=w, height=h, budget=b, soft_tokens=n)
                  for (w, h, b), n in zip(PICTURES, counts)],
        prompts=[[p for p in parts if isinstance(p, str)] for parts in PROMPTS],
        largest_soft_token=max(float(t.abs().max()) for k, t in tensors.items()
                               if k.startswith("soft")),
        largest_logit=max(float(t.abs().max()) for k, t in tensors.items()
                          if k.endswith("logits")),
        versions=dict(transformers=transformers.__version__, torch=torch.__version__)))
    for path in folder.iterdir():
        path.chmod(0o644)
    with scratch:
        shutil.rmtree(OUT / name, ignore_errors=True)
        shutil.move(folder, OUT / name)
    size = sum(p.stat().st_size for p in (OUT / name).iterdir())
    print(f"{name}: {size // 1024} KiB, seed {seed}, {counts} soft tokens", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="checkpoints to write (default: all)")
    names = parser.parse_args().names or list(architectures())
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name in names:
        make(name, architectures()[name])


if __name__ == "__main__":
    main()
