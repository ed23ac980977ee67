#!/usr/bin/env python3
"""Writes the tiny checkpoints of tests/golden/checkpoints and the official outputs for them.

Every checkpoint is a Gemma 4 folder as published (config.json, safetensors, generation_config.json)
with random weights; golden.safetensors and golden.json beside it hold what the transformers
implementation answers. Needs scripts/requirements-torch.txt; runs on one CPU thread.

  make_goldens.py            all checkpoints
  make_goldens.py moe e2b    only these
"""

import argparse
import hashlib
import json
import logging
import math
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import safetensors.torch
import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "tests" / "golden" / "checkpoints"
TOKENIZER = ROOT / "tests" / "golden" / "tokenizer_small"
GREEDY_STEPS = 64
MIN_MARGIN = 1e-3      # of every greedy step: above any float32 difference between two engines
MIN_ROUTER_GAP = 1e-5  # of every routed token of a prompt: below it another expert may be picked
FIRST_TEXT_ID = 110    # the control tokens of Gemma 4 lie below
MEDIA_IDS = 7          # the last ids of each vocabulary are the media tokens
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def layer_types(pattern, count):
    names = {"s": "sliding_attention", "f": "full_attention"}
    return [names[c] for c in (pattern * count)[:count]]


def architectures():
    """name -> {text: overrides of the text config, and how the folder is written}."""
    moe = dict(attention_k_eq_v=True, enable_moe_block=True, top_k_experts=8, num_experts=128,
               use_bidirectional_attention="vision")
    dense = dict(attention_k_eq_v=True, use_bidirectional_attention="vision")
    return {
        # 26B-A4B: 128 experts top 8, K = V on global layers, groups of 2 and 8.
        "moe": dict(vocab=1003, window=8, tokenizer=True, text=dict(
            moe, layer_types=layer_types("sf", 4), num_attention_heads=8, num_key_value_heads=4,
            num_global_key_value_heads=1, head_dim=32, global_head_dim=64, intermediate_size=48,
            moe_intermediate_size=16)),
        # E2B: per-layer embeddings, shared K/V, double-wide MLP, groups of 8. Like the published
        # file it still carries k/v tensors of the layers that never use them.
        "e2b": dict(vocab=1003, window=9, tokenizer=True, redundant_kv=True, text=dict(
            layer_types=layer_types("ssssf", 10), num_attention_heads=8, num_key_value_heads=1,
            num_global_key_value_heads=None, head_dim=16, global_head_dim=32,
            intermediate_size=40, hidden_size_per_layer_input=16, num_kv_shared_layers=5,
            use_double_wide_mlp=True, num_experts=None, top_k_experts=None,
            expert_intermediate_size=None)),
        # E4B: the same without double-wide MLP, groups of 4; the donors 5 and 6 are not neighbours
        # of the layers that use them.
        "e4b": dict(vocab=331, window=8, text=dict(
            layer_types=layer_types("sssssf", 12), num_attention_heads=8, num_key_value_heads=2,
            num_global_key_value_heads=None, head_dim=16, global_head_dim=32,
            intermediate_size=48, hidden_size_per_layer_input=16, num_kv_shared_layers=5)),
        # 31B: dense, K = V, groups of 2 and 8, a window longer than a KV page.
        "dense31b": dict(vocab=259, window=20, text=dict(
            dense, layer_types=layer_types("sssssf", 6), num_attention_heads=8,
            num_key_value_heads=4, num_global_key_value_heads=1, head_dim=16, global_head_dim=32,
            intermediate_size=104)),
        # 12B: model_type gemma4_unified, groups of 2 and 16, one global K/V head.
        "unified12b": dict(vocab=272, window=8, unified=True, text=dict(
            dense, layer_types=layer_types("ssf", 3), num_attention_heads=16,
            num_key_value_heads=8, num_global_key_value_heads=1, head_dim=16, global_head_dim=32,
            intermediate_size=64)),
        # As save_pretrained writes a text-only model: prefix `model.`, per_layer_config spelling,
        # shards with an index; experts 24 wide (no multiple of 16), 12 of them, top 3.
        "moe_text": dict(vocab=203, window=8, text_only=True, shard="140KB", text=dict(
            moe, layer_types=layer_types("ssf", 3), num_attention_heads=4, num_key_value_heads=2,
            num_global_key_value_heads=1, head_dim=16, global_head_dim=32, intermediate_size=48,
            moe_intermediate_size=24, num_experts=12, top_k_experts=3)),
        # float32 file; the root of 96 is not exact, so a rounded embedding scale shows.
        "dense_f32": dict(vocab=171, window=8, dtype="float32", text_only=True, text=dict(
            dense, hidden_size=96, layer_types=layer_types("sf", 2), num_attention_heads=4,
            num_key_value_heads=2, num_global_key_value_heads=1, head_dim=16, global_head_dim=32,
            intermediate_size=64)),
        # float16 file with an output matrix of its own.
        "head_f16": dict(vocab=192, window=8, dtype="float16", separate_head=True, text=dict(
            dense, layer_types=layer_types("sf", 2), num_attention_heads=4,
            num_key_value_heads=2, num_global_key_value_heads=1, head_dim=16, global_head_dim=32,
            intermediate_size=64)),
    }


def text_config(arch):
    """The text part of config.json in the spelling of the published files."""
    unified = arch.get("unified", False)
    config = dict(
        attention_bias=False, attention_dropout=0.0, attention_k_eq_v=False, bos_token_id=2,
        dtype=arch.get("dtype", "bfloat16"), enable_moe_block=False, eos_token_id=1,
        final_logit_softcapping=30.0, hidden_activation="gelu_pytorch_tanh", hidden_size=64,
        hidden_size_per_layer_input=0, initializer_range=0.02, max_position_embeddings=4096,
        model_type="gemma4_unified_text" if unified else "gemma4_text", num_kv_shared_layers=0,
        pad_token_id=0, rms_norm_eps=1e-6,
        rope_parameters=dict(
            full_attention=dict(partial_rotary_factor=0.25, rope_theta=1000000.0,
                                rope_type="proportional"),
            sliding_attention=dict(rope_theta=10000.0, rope_type="default")),
        sliding_window=arch["window"], tie_word_embeddings=not arch.get("separate_head", False),
        use_bidirectional_attention=None, use_cache=True, use_double_wide_mlp=False,
        vocab_size=arch["vocab"], vocab_size_per_layer_input=arch["vocab"])
    config.update(arch["text"])
    config["num_hidden_layers"] = len(config["layer_types"])
    return config


def full_config(arch):
    """config.json: the text part alone, or the multimodal frame around it with null towers."""
    text = text_config(arch)
    if arch.get("text_only"):
        return dict(text, architectures=["Gemma4ForCausalLM"])
    kind = "gemma4_unified" if arch.get("unified") else "gemma4"
    names = {"gemma4": "Gemma4ForConditionalGeneration",
             "gemma4_unified": "Gemma4UnifiedForConditionalGeneration"}
    media = ["boi_token_id", "boa_token_id", "image_token_id", "audio_token_id", "eoi_token_id",
             "eoa_token_index", "video_token_id"]
    first = arch["vocab"] - MEDIA_IDS
    config = dict({name: first + i for i, name in enumerate(media)},
                  architectures=[names[kind]], model_type=kind, text_config=text,
                  audio_config=None, vision_config=None, dtype=text["dtype"],
                  eos_token_id=[1, 106], initializer_range=0.02,
                  tie_word_embeddings=text["tie_word_embeddings"],
                  vision_soft_tokens_per_image=280)
    config["eoa_token_id"] = config["eoa_token_index"]
    return config


def generation_config(arch):
    first = arch["vocab"] - MEDIA_IDS
    return dict(bos_token_id=2, do_sample=True, eos_token_id=[1, 106, 50], pad_token_id=0,
                suppress_tokens=[first + 5, first + 4], temperature=1.0, top_k=64, top_p=0.95,
                transformers_version=transformers.__version__)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def four_bits(value):
    """Rounds to four significant bits, exact in every 16-bit type: git then packs half as much."""
    mantissa, exponent = np.frexp(value)
    return np.ldexp(np.round(mantissa * 16) / 16, exponent)


def random_tensor(name, shape, seed, vocab, coarse):
    """Random values that keep logits and routing lively: nothing stays at its neutral value."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    leaf = name.removesuffix(".weight").rsplit(".", 1)[-1]
    ranges = {"q_norm": (0.45, 0.75), "k_norm": (0.45, 0.75), "layer_scalar": (0.3, 1.5),
              "per_expert_scale": (0.25, 1.75), "scale": (0.5, 1.5)}
    if leaf in ranges:
        value = rng.uniform(*ranges[leaf], size=shape)
        if leaf in ("q_norm", "k_norm") and shape[0] > 32:
            value *= 0.5  # long heads give sharp attention, which magnifies rounding
    elif leaf == "norm":  # the final one: a large factor makes the small table's logits spread
        value = 10.0 * rng.uniform(0.5, 1.5, size=shape)
    elif leaf.endswith("norm") or "layernorm" in leaf:
        value = rng.uniform(0.5, 1.4, size=shape)
    elif leaf in ("embed_tokens", "lm_head"):
        value = 0.05 * rng.standard_normal(shape)
        value[:FIRST_TEXT_ID] *= 0.3          # control and media tokens never win, so that greedy
        value[vocab - MEDIA_IDS:] *= 0.3      # text has none of them
    elif leaf == "embed_tokens_per_layer":
        value = 0.25 * rng.standard_normal(shape)
    elif name.endswith("router.proj.weight"):
        value = 3.0 * rng.standard_normal(shape)  # wide gaps: bf16 seldom picks other experts
    else:
        value = rng.standard_normal(shape) / math.sqrt(shape[-1])
    if len(shape) > 1 and coarse:
        value = four_bits(value)
    return torch.from_numpy(np.asarray(value, dtype=np.float32))


def redundant_kv(config):
    """Names and shapes of the unused k/v tensors of layers that share K/V."""
    extra = {}
    first = config["num_hidden_layers"] - config["num_kv_shared_layers"]
    for i in range(first, config["num_hidden_layers"]):
        full = config["layer_types"][i] == "full_attention"
        size = config["global_head_dim"] if full else config["head_dim"]
        rows = config["num_key_value_heads"] * size
        prefix = f"model.language_model.layers.{i}.self_attn."
        extra[prefix + "k_proj.weight"] = (rows, config["hidden_size"])
        extra[prefix + "v_proj.weight"] = (rows, config["hidden_size"])
        extra[prefix + "k_norm.weight"] = (size,)
    return extra


def write_checkpoint(arch, folder, seed):
    """Writes config, generation config and weights of one random model into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = full_config(arch)
    write_json(folder / "config.json", config)
    write_json(folder / "generation_config.json", generation_config(arch))
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(
            transformers.AutoConfig.from_pretrained(folder))
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    if not arch.get("separate_head"):
        del shapes["lm_head.weight"]
    if arch.get("redundant_kv"):
        shapes.update(redundant_kv(text_config(arch)))
    dtype = DTYPES[arch.get("dtype", "bfloat16")]
    coarse = dtype != torch.float32
    tensors = {name: random_tensor(name, shape, seed, arch["vocab"], coarse).to(dtype)
               for name, shape in sorted(shapes.items())}
    safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    if "shard" in arch:
        reshard(folder, arch, dtype)
    if arch.get("tokenizer") and TOKENIZER.is_dir():
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(TOKENIZER / name, folder / name)


def reshard(folder, arch, dtype):
    """Lets save_pretrained rewrite the folder: shards, index, per_layer_config spelling."""
    model = load(folder, dtype)
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch, max_shard_size=arch["shard"])
        (folder / "model.safetensors").unlink()
        for path in sorted(pathlib.Path(scratch).iterdir()):
            shutil.copyfile(path, folder / path.name)


def load(folder, dtype):
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", output_loading_info=True)
    problems = {k: v for k, v in info.items() if v and k != "unexpected_keys"}
    if problems:
        sys.exit(f"{folder}: not loaded whole: {problems}")
    return model.eval()


class RouterTap:
    """Keeps input and outputs of every router call of one forward pass."""

    def __init__(self, model):
        self.calls = []
        for module in model.modules():
            if type(module).__name__.endswith("TextRouter"):
                module.register_forward_hook(self._keep)

    def _keep(self, module, args, output):
        probabilities, weights, ids = output
        # The logit gap is the log-ratio of probabilities, both taken after the same softmax.
        top = torch.topk(probabilities, ids.shape[-1] + 1, dim=-1).values.log()
        self.calls.append(dict(input=args[0].clone(), ids=ids.int(), weights=weights.float(),
                               gap=(top[:, -2] - top[:, -1])))

    def take(self):
        calls, self.calls = self.calls, []
        return calls

    @staticmethod
    def smallest_gap(calls):
        return min((float(c["gap"].min()) for c in calls), default=math.inf)


def forward(model, ids, **kwargs):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), use_cache=False, **kwargs)


def margins(logits):
    top = torch.topk(logits.float(), 2, dim=-1).values
    return top[:, 0] - top[:, 1]


def greedy(model, tap, ids, vocab):
    """64 greedy tokens, their margins and the smallest router gap, or None if unfit as a golden."""
    with torch.no_grad():
        out = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=GREEDY_STEPS,
                             eos_token_id=None, suppress_tokens=None, top_k=None, top_p=None,
                             temperature=None, pad_token_id=0)[0].tolist()
    tap.take()
    logits = forward(model, out[:-1]).logits[0, len(ids) - 1:]
    gap = tap.smallest_gap(tap.take())
    new = out[len(ids):]
    margin = margins(logits)
    same = logits.argmax(-1).tolist() == new
    plain = all(FIRST_TEXT_ID <= t < vocab - MEDIA_IDS for t in new)
    lively = len(set(new)) >= GREEDY_STEPS // 4
    fit = same and plain and lively and float(margin.min()) > MIN_MARGIN and gap > MIN_ROUTER_GAP
    return (new, margin, gap) if fit else None


def pick_prompts(arch, model, tap, seed):
    """Prompts of the lengths 1, W-1, W, W+1, 3W; those of 1, W+1 and 3W with a continuation."""
    window, vocab = arch["window"], arch["vocab"]
    rng = np.random.default_rng(seed)
    prompts = []
    for length in (1, window - 1, window, window + 1, 3 * window):
        continued = length in (1, window + 1, 3 * window)
        for _ in range(200):
            ids = rng.integers(FIRST_TEXT_ID, vocab - MEDIA_IDS, size=length).tolist()
            logits = forward(model, ids).logits[0]
            gap = tap.smallest_gap(tap.take())
            if float(margins(logits).min()) < MIN_MARGIN or gap < MIN_ROUTER_GAP:
                continue
            tail = greedy(model, tap, ids, vocab) if continued else None
            if tail or not continued:
                break
        else:
            return None
        prompts.append(dict(ids=ids, logits=logits, router_gap=gap, tail=tail))
    return prompts


def text_model(model):
    return model.get_decoder() if hasattr(model, "get_decoder") else model.model


def inner_states(model, tap, ids):
    """Per-layer outputs of one prompt, the router's part and the per-layer inputs."""
    tensors, outputs, ple = {}, [], []
    decoder = text_model(model)
    decoder = getattr(decoder, "language_model", decoder)
    handles = [layer.register_forward_hook(lambda m, a, o: outputs.append(o[0].clone()))
               for layer in decoder.layers]
    handles.append(decoder.layers[0].register_forward_pre_hook(
        lambda m, a: outputs.append(a[0][0].clone())))
    if decoder.config.hidden_size_per_layer_input:
        for layer in decoder.layers:
            handles.append(layer.register_forward_pre_hook(
                lambda m, a: ple.append(a[1][0].clone())))
    forward(model, ids)
    for handle in handles:
        handle.remove()
    tensors["hidden.embed"] = outputs[0]
    for i, value in enumerate(outputs[1:]):
        tensors[f"hidden.{i}"] = value
    if ple:
        tensors["per_layer_inputs"] = torch.stack(ple, 1)
    for i, call in enumerate(tap.take()):
        for key, value in call.items():
            tensors[f"router.{i}.{key}"] = value
    return tensors


def bf16_outputs(folder, ids):
    model = load(folder, torch.bfloat16)
    tap = RouterTap(model)
    logits = forward(model, ids).logits[0]
    tap.take()
    tensors = {"bf16." + k: v for k, v in inner_states(model, tap, ids).items()}
    tensors.update({"bf16.top1": logits.argmax(-1).int(), "bf16.margins": margins(logits)})
    return tensors, logits


def golden_tensors(folder, prompts, inner):
    """All tensors of golden.safetensors; prompt 4 (3W tokens) is the one with inner states."""
    tensors = dict(inner)
    for i, p in enumerate(prompts):
        tensors[f"prompt.{i}.ids"] = torch.tensor(p["ids"], dtype=torch.int32)
        tensors[f"prompt.{i}.logits"] = p["logits"].float()
        if p["tail"]:
            tensors[f"prompt.{i}.greedy_ids"] = torch.tensor(p["tail"][0], dtype=torch.int32)
            tensors[f"prompt.{i}.greedy_margins"] = p["tail"][1]
    coarse, logits = bf16_outputs(folder, prompts[-1]["ids"])
    tensors.update(coarse)
    noise = (logits.float() - prompts[-1]["logits"]).abs().amax(-1)
    tensors["bf16.noise"] = noise  # largest difference to the float32 logits at each position
    return {k: v.detach().clone().contiguous() for k, v in tensors.items()}


def summary(name, arch, seed, prompts, tensors):
    tails = [p["tail"] for p in prompts if p["tail"]]
    finite = [g for g in [p["router_gap"] for p in prompts] + [t[2] for t in tails] if g < math.inf]
    return dict(
        name=name, seed=seed, window=arch["window"], vocab_size=arch["vocab"],
        weights_dtype=arch.get("dtype", "bfloat16"),
        num_layers=len(arch["text"]["layer_types"]),
        prompt_lengths=[len(p["ids"]) for p in prompts],
        greedy_prompts=[i for i, p in enumerate(prompts) if p["tail"]],
        greedy_steps=GREEDY_STEPS, inner_prompt=len(prompts) - 1,
        largest_logit=max(float(p["logits"].abs().max()) for p in prompts),
        smallest_margin=min(float(margins(p["logits"]).min()) for p in prompts),
        smallest_greedy_margin=min(float(t[1].min()) for t in tails),
        smallest_router_gap=min(finite) if finite else None,
        bf16_median_noise=float(tensors["bf16.noise"].median()),
        bf16_top1_equal=float((tensors["bf16.top1"]
                               == prompts[-1]["logits"].argmax(-1)).float().mean()),
        versions=dict(transformers=transformers.__version__, torch=torch.__version__))


def make(name, arch):
    """One folder: tries seeds until every prompt and continuation has clear margins."""
    scratch = tempfile.TemporaryDirectory(dir=OUT.parent)
    folder = pathlib.Path(scratch.name) / name
    for seed in range(1, 50):
        shutil.rmtree(folder, ignore_errors=True)
        write_checkpoint(arch, folder, seed)
        model = load(folder, torch.float32)
        tap = RouterTap(model)
        prompts = pick_prompts(arch, model, tap, seed)
        if prompts:
            break
    else:
        sys.exit(f"{name}: no seed gives clear margins")
    inner = inner_states(model, tap, prompts[-1]["ids"])
    tensors = golden_tensors(folder, prompts, inner)
    safetensors.torch.save_file(tensors, folder / "golden.safetensors")
    for path in folder.iterdir():  # safetensors writes files that only their owner may read
        path.chmod(0o644)
    facts = summary(name, arch, seed, prompts, tensors)
    write_json(folder / "golden.json", facts)
    with scratch:
        shutil.rmtree(OUT / name, ignore_errors=True)
        shutil.move(folder, OUT / name)
    return facts, sum(p.stat().st_size for p in (OUT / name).iterdir())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="checkpoints to write (default: all)")
    names = parser.parse_args().names or list(architectures())
    torch.set_num_threads(1)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print(f"{'checkpoint':<12}{'KiB':>6}{'seed':>5}{'max logit':>10}{'margin':>9}{'greedy':>9}"
          f"{'router gap':>12}{'bf16 top-1':>11}")
    for name in names:
        facts, size = make(name, architectures()[name])
        gap = facts["smallest_router_gap"]
        print(f"{name:<12}{size // 1024:>6}{facts['seed']:>5}{facts['largest_logit']:>10.2f}"
              f"{facts['smallest_margin']:>9.1e}{facts['smallest_greedy_margin']:>9.1e}"
              f"{(f'{gap:.1e}' if gap else '-'):>12}{facts['bf16_top1_equal']:>11.2f}", flush=True)


if __name__ == "__main__":
    main()
