#!/usr/bin/env python3
"""Trains the demo checkpoint of config/demo: a small real Gemma 4 that knows gemstones.

Needs scripts/requirements-torch.txt and about two free CPU cores; it generates its conversations.

  train_demo.py --work FOLDER --minutes 75     train, keeping the newest weights in FOLDER
  train_demo.py --work FOLDER --resume         go on with a run that was cut off
  train_demo.py --work FOLDER --export         write config/demo from the newest weights
"""

import argparse
import json
import os
import pathlib
import random

os.environ.setdefault("OMP_NUM_THREADS", "1")

import safetensors.torch
import tokenizers
import torch

from demo import evaluation, export, network, prompt, skills, training, vocabulary

ROOT = pathlib.Path(__file__).resolve().parent.parent


def make_tokenizer(path):
    rng = random.Random(1)
    texts = [text for _ in range(20000)
             for text, _ in prompt.training_pieces(skills.sample(rng))]
    path.write_text(json.dumps(vocabulary.build(texts), ensure_ascii=False), encoding="utf-8")


def check_template(path):
    import jinja2.sandbox
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True,
                                                               lstrip_blocks=True)
    template = environment.from_string(path.read_text())
    rng = random.Random(2)
    for _ in range(4000):
        item = skills.sample(rng)
        messages, options = item.messages(), {"bos_token": "<bos>"}
        for message in messages:
            for call in message.get("tool_calls", []):  # the template takes no JSON text
                call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        if item.thinking:
            options["enable_thinking"] = True
        official = template.render(messages=messages, tools=item.tools or None,
                                   add_generation_prompt=True, **options)
        ours = prompt.prompt_of(item)
        if ours != official:
            raise SystemExit(f"the prompts differ:\n{official!r}\n{ours!r}")
    print("4000 prompts equal the template's")


def write_checkpoint(model, args):
    weights = safetensors.torch.load_file(args.start or args.work / "latest.safetensors")
    missing = model.load_state_dict(weights, strict=False)
    if missing.unexpected_keys or missing.missing_keys != ["lm_head.weight"]:
        raise SystemExit(f"latest.safetensors does not fit: {missing}")
    tokenizer = tokenizers.Tokenizer.from_file(str(args.work / "tokenizer.json"))
    scores, wrong, examples = export.export(model, args.work, args.out, tokenizer)
    for item in wrong:
        print("wrong:", item.skill, item.messages()[-1]["content"], "| expected",
              item.turns[-1].answer or item.expected_calls())
    for turns in examples:
        print(turns)
    for skill, (n, k) in scores.items():
        print(f"{skill}: {k} of {n}")
    print("first choices equal to the official ones:", *export.check(
        args.out, tokenizer, evaluation.held_out_list()))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--minutes", type=float, default=75)
    parser.add_argument("--copy-steps", type=int, default=300, help="of the warm-up")
    parser.add_argument("--tokens", type=int, default=4096, help="tokens in a step")
    parser.add_argument("--rate", type=float, default=1.0, help="scales the learning rates")
    parser.add_argument("--start", type=pathlib.Path, help="weights to go on from")
    parser.add_argument("--resume", action="store_true", help="at the place in the cosine where "
                        "FOLDER was left, with fresh momentum")
    parser.add_argument("--export", action="store_true", help="write the checkpoint folder")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "config" / "demo")
    parser.add_argument("--check-template", type=pathlib.Path, metavar="JINJA",
                        help="compare the prompts with the official template, and stop")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.check_template:
        return check_template(args.check_template)
    args.work.mkdir(parents=True, exist_ok=True)
    tokenizer = args.work / "tokenizer.json"
    if not tokenizer.exists():
        make_tokenizer(tokenizer)
    model = network.build()
    if args.export:
        return write_checkpoint(model, args)
    done = None
    if args.resume:
        args.start = args.work / "latest.safetensors"
        done = json.loads((args.work / "progress.json").read_text())
    if args.start:
        model.load_state_dict(safetensors.torch.load_file(args.start), strict=False)
    print("parameters", sum(p.numel() for p in model.parameters()), flush=True)
    difference = network.check(model)
    if difference > 1e-4:
        raise SystemExit(f"the forward pass differs from the official one by {difference}")
    training.train(model, args.work, args.minutes, args.copy_steps, args.tokens,
                   args.rate, done)


if __name__ == "__main__":
    main()
