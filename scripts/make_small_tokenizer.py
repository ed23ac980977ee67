#!/usr/bin/env python3
"""Writes tests/golden/tokenizer_small: a tokenizer of Gemma 4's form with 1,003 entries.

Control tokens, newline runs, space runs and byte tokens have their real ids; the media tokens are
the last seven; the pieces between are learnt from the text below. As in the real file the merges
are every split of a piece into two pieces, so that one piece has several ways to come about.
Needs scripts/requirements-torch.txt (of it only `tokenizers`).
"""

import json
import pathlib

import tokenizers

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "tokenizer_small"
SIZE = 1003
FIRST_PIECE = 494
SPACE = "\u2581"
MEDIA = ["<|image>", "<|audio>", "<|image|>", "<|audio|>", "<image|>", "<audio|>", "<|video|>"]
CONTROL = {0: "<pad>", 1: "<eos>", 2: "<bos>", 3: "<unk>", 4: "<mask>", 46: "<|tool>",
           47: "<tool|>", 48: "<|tool_call>", 49: "<tool_call|>", 50: "<|tool_response>",
           51: "<tool_response|>", 52: '<|"|>', 98: "<|think|>", 100: "<|channel>",
           101: "<channel|>", 105: "<|turn>", 106: "<turn|>"}
LETTERS = "".join(map(chr, range(0x21, 0x7F))) + SPACE + "\t\u00e4\u00f6\u00fc\u00df\u00e9\u00e8" \
    "\u00e7\u00f1\u00e5\u00f8\u2013\u2019\u201c\u201d\u2026\u20ac\u0430\u0435\u0438\u043e\u0440" \
    "\u0442\u05d0\u0627\u0644\u5b9d\u77f3\u8272\u3044\u306e\u00a0"
TEXT = """A mineral collector keeps a notebook. On each page there is a drawing, a place and a date.
The first stone is a garnet: dark red, heavy for its size, found in the gravel of a mountain river.
The second is an opal, and its colours change when the light comes from another side of the room.
What makes a stone precious? It should be hard, it should be rare, and someone must want to have it.
A diamond scratches every other mineral; talc is so soft that a fingernail leaves a mark on it.
Emerald and aquamarine are the same mineral, beryl; only traces of other metals make them differ.
The user asked the model for a table of the hardness of ten minerals, and the model answered it.
You are a helpful assistant. Answer in one sentence, think before you answer, and do not guess.
for (int index = 0; index < count; ++index) { total += values[index] * weights[index]; }
def measure(stone, scale): return {"name": stone.name, "weight": scale.weigh(stone), "unit": "g"}
<html><body><p class="stone">The result of the test was not what they had thought of before.</p>
Wenn der Stein im Wasser liegt, sieht man die Farbe besser; das wissen die Kinder am Fluss schon.
La pierre est dans la main de la personne qui la cherche, et la personne ne la trouve pas encore.
El color de la piedra cambia con la luz, pero la piedra es siempre la misma que antes del viaje.
They say that this is the time when everything could be different, and that nothing will ever be.
Cutting, polishing and setting are three different trades; few people have been good at all three.
"""


def learn_pieces(count):
    """`count` pieces of more than one letter, the most useful first."""
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"[\n\t0-9]"), "isolated"),
        tokenizers.pre_tokenizers.Split(SPACE, "merged_with_next")])
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=count + 200, initial_alphabet=sorted(LETTERS), min_frequency=1,
        show_progress=False)
    model.train_from_iterator([TEXT.replace(" ", SPACE)], trainer)
    by_id = sorted(model.get_vocab().items(), key=lambda item: item[1])
    return [p for p, _ in by_id if len(p) > 1 and SPACE not in p[1:]][:count]


def build_vocabulary():
    names = {**CONTROL, 5: "[multimodal]"}
    names.update({106 + n: "\n" * n for n in range(1, 32)})
    names.update({136 + n: SPACE * n for n in range(2, 32)})
    names.update({238 + b: f"<0x{b:02X}>" for b in range(256)})
    names.update({SIZE - len(MEDIA) + i: name for i, name in enumerate(MEDIA)})
    room = SIZE - len(MEDIA) - FIRST_PIECE
    tabs = ["\t" * n for n in range(2, 6)]
    pieces = learn_pieces(room - len(LETTERS) - len(tabs)) + tabs + list(LETTERS)
    assert len(pieces) == room and len(set(pieces)) == room
    names.update({FIRST_PIECE + i: piece for i, piece in enumerate(pieces)})
    unused = iter(range(SIZE))
    return [names[i] if i in names else f"<unused{next(unused)}>" for i in range(SIZE)]


def build_merges(vocabulary):
    """Runs first, then by id of the result; within one the longer left half first."""
    known = {name: i for i, name in enumerate(vocabulary)}
    merges = []
    for i, piece in enumerate(vocabulary):
        run = len(piece) > 1 and len(set(piece)) == 1 and piece[0] in "\n\t" + SPACE
        if not run and (i < FIRST_PIECE or i >= SIZE - len(MEDIA)):
            continue
        for cut in range(len(piece) - 1, 0, -1):
            left, right = piece[:cut], piece[cut:]
            if left in known and right in known:
                key = (0, -cut, -len(right), i) if run else (1, i, -cut, 0)
                merges.append((key, [left, right]))
    return [pair for _, pair in sorted(merges, key=lambda item: item[0])]


def build_tokenizer():
    vocabulary = build_vocabulary()
    special = {**CONTROL, **{SIZE - len(MEDIA) + i: name for i, name in enumerate(MEDIA)}}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [dict(id=i, content=name, single_word=False, lstrip=False, rstrip=False,
                              normalized=False, special=True) for i, name in special.items()],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        "pre_tokenizer": {"type": "Split", "pattern": {"String": " "},
                          "behavior": "MergedWithPrevious", "invert": False},
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>",
                  "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True,
                  "byte_fallback": True, "ignore_merges": False,
                  "vocab": {name: i for i, name in enumerate(vocabulary)},
                  "merges": build_merges(vocabulary)}}


def tokenizer_config():
    names = dict(audio_token="<|audio|>", boa_token="<|audio>", boi_token="<|image>",
                 bos_token="<bos>", eoa_token="<audio|>", eoc_token="<channel|>",
                 eoi_token="<image|>", eos_token="<eos>", eot_token="<turn|>",
                 escape_token='<|"|>', etc_token="<tool_call|>", etd_token="<tool|>",
                 etr_token="<tool_response|>", image_token="<|image|>", mask_token="<mask>",
                 pad_token="<pad>", soc_token="<|channel>", sot_token="<|turn>",
                 stc_token="<|tool_call>", std_token="<|tool>", str_token="<|tool_response>",
                 think_token="<|think|>", unk_token="<unk>")
    return dict(names, extra_special_tokens=["<|video|>"], padding_side="left",
                backend="tokenizers", tokenizer_class="GemmaTokenizer",
                model_max_length=1000000000000000019884624838656)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / "tokenizer.json"
    path.write_text(json.dumps(build_tokenizer(), ensure_ascii=False, separators=(",", ":")) + "\n")
    (OUT / "tokenizer_config.json").write_text(
        json.dumps(tokenizer_config(), indent=2, sort_keys=True) + "\n")
    loaded = tokenizers.Tokenizer.from_file(str(path))
    for text in (TEXT, "  a\n\n\n\tb \u00e9\U0001f48e 12345", "<|turn>user\nred stone<turn|>\n"):
        ids = loaded.encode(text, add_special_tokens=False).ids
        assert loaded.decode(ids, skip_special_tokens=False) == text, text
    print(f"{path.stat().st_size} bytes, {loaded.get_vocab_size()} entries, "
          f"{len(TEXT.encode())} bytes of text are {len(loaded.encode(TEXT).ids)} tokens")


if __name__ == "__main__":
    main()
