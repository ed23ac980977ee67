"""The training loop: two single-threaded processes over shared parameters.

The learning rate follows one cosine over the time that was given, not over a number of steps, so
that a busy machine still ends with a finished schedule.
"""

import json
import math
import os
import pathlib
import random
import time

import safetensors.torch
import tokenizers
import torch
import torch.multiprocessing as mp

from . import batches, evaluation, network, optimizer

WORLD = 2
WARM_UP = 40
BALANCE = 0.01


class Run:
    """What the processes share."""

    def __init__(self, model, folder, minutes, copy_steps, tokens, rate, done):
        self.model, self.folder = model, pathlib.Path(folder)
        self.seconds, self.copy_steps = minutes * 60, copy_steps
        self.tokens, self.rate = tokens, rate
        self.named = list(model.named_parameters())
        for tensor in [p for _, p in self.named] + list(model.buffers()):
            tensor.data.share_memory_()
        self.gradients = [[torch.zeros_like(p).share_memory_() for _, p in self.named]
                          for _ in range(WORLD)]
        self.clock = torch.zeros(2, dtype=torch.float64).share_memory_()  # progress, step
        self.barrier = mp.get_context("fork").Barrier(WORLD)
        self.done = done  # the progress of the run that this one goes on with
        self.started = time.time() - done["minutes"] * 60


def save(run, name):
    path = run.folder / name
    state = {n: p.detach().clone() for n, p in run.model.state_dict().items()
             if n != "lm_head.weight"}  # tied to the embedding
    safetensors.torch.save_file(state, str(path) + ".new")
    os.replace(str(path) + ".new", path)


def save_progress(run, step, tokens):
    progress = {"date": time.strftime("%Y-%m-%d"), "minutes": (time.time() - run.started) / 60,
                "steps": run.done["steps"] + step, "tokens": run.done["tokens"] + tokens / 1e6,
                "parameters": sum(p.numel() for _, p in run.named), "remark": ""}
    (run.folder / "progress.json").write_text(json.dumps(progress))


def report(run, forward, tokenizer, items, step, tokens, losses):
    table = evaluation.by_skill(items, evaluation.right(forward, tokenizer, items))
    scores = " ".join(f"{skill} {k}/{n}" for skill, (n, k) in table.items())
    minutes = (time.time() - run.started) / 60
    print(f"{minutes:5.1f} min step {step} {tokens / 1e6:.2f} M tokens "
          f"{tokens / max(1, (minutes - run.done['minutes']) * 60):.0f}/s "
          + " ".join(f"{kind} {loss:.3f}" for kind, loss in losses.items())
          + f" | {scores}", flush=True)
    return sum(k for _, k in table.values())


def work(run, rank):
    torch.set_num_threads(1)
    torch.manual_seed(rank)
    tokenizer = tokenizers.Tokenizer.from_file(str(run.folder / "tokenizer.json"))
    forward = network.Forward(run.model)
    for (_, p), g in zip(run.named, run.gradients[rank]):
        p.grad = g
    update = optimizer.Optimizer(run.named, rank, WORLD)
    rng = random.Random(100 + rank)
    source = batches.batches(tokenizer, int(time.time()) * 2 + rank, run.tokens // WORLD)
    items = evaluation.held_out_list() if rank == 0 else None
    step, seen, smooth, best = 0, 0, {}, 0
    next_report = run.done["minutes"] * 60 + 120
    while True:
        copying = step < run.copy_steps
        batch = batches.copy_batch(rng, run.tokens // WORLD) if copying else next(source)
        loss, balance = forward.loss(*batch)
        for g in run.gradients[rank]:
            g.zero_()
        (loss + BALANCE * balance).backward()
        if rank == 0:
            elapsed = time.time() - run.started
            run.clock[0] = elapsed / run.seconds
        run.barrier.wait()
        progress = min(1.0, float(run.clock[0]))
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        factor = run.rate * min(1.0, (step + 1) / WARM_UP) * max(0.01, cosine)
        update.step(lambda i: (run.gradients[0][i] + run.gradients[1][i]) / WORLD, factor)
        run.barrier.wait()
        step += 1
        seen += batch[0].numel() * WORLD
        if rank == 0:
            kind = "copy" if copying else "loss"
            smooth[kind] = 0.97 * smooth.get(kind, loss.item()) + 0.03 * loss.item()
            if step == 20 or elapsed > next_report or progress >= 1.0:
                right = report(run, forward, tokenizer, items, step, seen, smooth)
                save(run, "latest.safetensors")
                if right >= best:
                    best = right
                    save(run, "best.safetensors")
                save_progress(run, step, seen)
                next_report = time.time() - run.started + 200
        if progress >= 1.0:
            return


def train(model, folder, minutes, copy_steps, tokens, rate, done=None):
    run = Run(model, folder, minutes, copy_steps, tokens, rate,
              done or {"minutes": 0, "steps": 0, "tokens": 0})
    context = mp.get_context("fork")
    helpers = [context.Process(target=work, args=(run, rank)) for rank in range(1, WORLD)]
    for helper in helpers:
        helper.start()
    work(run, 0)
    for helper in helpers:
        helper.join()
