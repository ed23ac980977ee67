"""The demo's tokenizer: a small BPE in the form of Gemma 4's tokenizer.json.

The text control tokens keep Gemma 4's ids (0-4, 46-52, 98, 100, 101, 105, 106); the media tokens,
whose published ids lie above 255,000, are the last seven entries.
"""

import collections
import json

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

SIZE = 1536
CONTROL = {0: "<pad>", 1: "<eos>", 2: "<bos>", 3: "<unk>", 4: "<mask>", 46: "<|tool>",
           47: "<tool|>", 48: "<|tool_call>", 49: "<tool_call|>", 50: "<|tool_response>",
           51: "<tool_response|>", 52: '<|"|>', 98: "<|think|>", 100: "<|channel>",
           101: "<channel|>", 105: "<|turn>", 106: "<turn|>"}
MEDIA = ["<|image>", "<|audio>", "<|image|>", "<|audio|>", "<image|>", "<audio|>", "<|video|>"]
FIRST_TEXT_ID = 107
RUN = 4  # longest run of newlines, and of spaces, with an entry of its own


def media_id(token):
    return SIZE - len(MEDIA) + MEDIA.index(token)


def learn_merges(texts, count):
    """BPE merges within words: the space mark stands only first, digits and marks stand alone."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(tokenizers.Regex(r"[^a-zA-Z▁]"), "isolated"),
        pre_tokenizers.Split("▁", "merged_with_next")])
    alphabet = [chr(c) for c in range(33, 127)] + ["▁"]
    trainer = trainers.BpeTrainer(vocab_size=len(alphabet) + count, initial_alphabet=alphabet,
                                  limit_alphabet=len(alphabet), show_progress=False,
                                  max_token_length=14)
    tokenizer.train_from_iterator((t.replace(" ", "▁") for t in texts), trainer)
    return [tuple(m) for m in json.loads(tokenizer.to_str())["model"]["merges"]]


def build(texts):
    """tokenizer.json as a dictionary."""
    vocab = {token: i for i, token in CONTROL.items()}
    unused = 0
    for i in range(FIRST_TEXT_ID):
        if i not in CONTROL:
            vocab[f"<unused{unused}>"] = i
            unused += 1
    runs = ["\n" * n for n in range(1, RUN + 1)] + ["▁" * n for n in range(2, RUN + 1)]
    singles = [f"<0x{b:02X}>" for b in range(256)] + ["▁"] + [chr(c) for c in range(33, 127)]
    for token in runs + singles:
        vocab[token] = len(vocab)
    run_merges = [(c * a, c * (n - a)) for c in "\n▁" for n in range(2, RUN + 1)
                  for a in range(n - 1, 0, -1)]
    room = SIZE - len(MEDIA) - len(vocab)
    merges = []
    for left, right in learn_merges(texts, room):
        vocab[left + right] = len(vocab)
        merges.append((left, right))
    if len(vocab) != SIZE - len(MEDIA):
        raise SystemExit(f"the texts gave {len(merges)} merges where {room} were expected")
    for token in MEDIA:
        vocab[token] = len(vocab)
    return tokenizer_json(vocab, run_merges + merges)


def tokenizer_json(vocab, merges):
    ordered = sorted(vocab.items(), key=lambda item: item[1])
    special = list(CONTROL.values()) + MEDIA
    added = [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for token, i in ordered if token in special]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": {"type": "Split", "pattern": {"String": " "},
                          "behavior": "MergedWithPrevious", "invert": False},
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>",
                  "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True,
                  "byte_fallback": True, "ignore_merges": False,
                  "vocab": collections.OrderedDict(ordered), "merges": [list(m) for m in merges]}}


def tokenizer_config():
    return {
        "audio_token": "<|audio|>", "backend": "tokenizers", "boa_token": "<|audio>",
        "boi_token": "<|image>", "bos_token": "<bos>", "eoa_token": "<audio|>",
        "eoc_token": "<channel|>", "eoi_token": "<image|>", "eos_token": "<eos>",
        "eot_token": "<turn|>", "escape_token": '<|"|>', "etc_token": "<tool_call|>",
        "etd_token": "<tool|>", "etr_token": "<tool_response|>",
        "extra_special_tokens": ["<|video|>"], "image_token": "<|image|>", "mask_token": "<mask>",
        "model_max_length": 4096, "pad_token": "<pad>", "padding_side": "left",
        "soc_token": "<|channel>", "sot_token": "<|turn>", "stc_token": "<|tool_call>",
        "std_token": "<|tool>", "str_token": "<|tool_response>", "think_token": "<|think|>",
        "tokenizer_class": "GemmaTokenizer", "unk_token": "<unk>"}
