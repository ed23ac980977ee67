"""The demo's network: the official transformers classes hold the weights, and a forward pass of
our own, several times faster on a CPU, trains them. `check` compares the two."""

import math

import torch
import torch.nn.functional as F
import transformers

from . import mixture, vocabulary
from .mixture import linear

LAYERS = 6
LAYER_SCALARS = [1.0, 0.9, 1.0, 1.15, 1.0, 0.95]


def config():
    kinds = ["sliding_attention", "sliding_attention", "full_attention"] * (LAYERS // 3)
    result = transformers.Gemma4TextConfig(
        vocab_size=vocabulary.SIZE, vocab_size_per_layer_input=vocabulary.SIZE, hidden_size=128,
        hidden_size_per_layer_input=0, intermediate_size=256, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=2, num_global_key_value_heads=1, head_dim=32,
        global_head_dim=64, layer_types=kinds, sliding_window=128, max_position_embeddings=4096,
        attention_k_eq_v=True, enable_moe_block=True, num_experts=128, top_k_experts=8,
        moe_intermediate_size=32, final_logit_softcapping=30.0, tie_word_embeddings=True,
        use_bidirectional_attention=None, dtype="float32")
    names = {"boi": "<|image>", "image": "<|image|>", "eoi": "<image|>", "boa": "<|audio>",
             "audio": "<|audio|>", "eoa": "<audio|>", "video": "<|video|>"}
    for key, token in names.items():
        setattr(result, f"{key}_token_id", vocabulary.media_id(token))
    return result


def build(seed=0):
    """A Gemma4ForCausalLM with the start values that train well at this size."""
    torch.manual_seed(seed)
    model = transformers.Gemma4ForCausalLM(config())
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("embed_tokens.weight"):
                p.normal_(0, 0.03)
            elif name.endswith("router.proj.weight"):
                p.normal_(0, 1.0)
            elif p.dim() >= 2:
                p.normal_(0, p.shape[-1] ** -0.5)
            elif name.endswith(("q_norm.weight", "k_norm.weight")):
                p.fill_(p.shape[0] ** -0.25)
            elif name.endswith(("post_attention_layernorm.weight",
                                "post_feedforward_layernorm.weight")):
                p.fill_(0.3)
        for layer, scalar in zip(model.model.layers, LAYER_SCALARS):
            layer.layer_scalar.fill_(scalar)
    return model


def norm(x, weight=None):
    y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
    return y if weight is None else y * weight


def add_norm(residual, x, weight):
    return residual + norm(x, weight)


def gated(gate, up):
    return F.gelu(gate, approximate="tanh") * up


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), -1)
    return x * cos + turned * sin


def norm_rotate(x, weight, cos, sin):
    return rotate(norm(x, weight), cos, sin)


def capped_loss(logits, targets):
    capped = torch.tanh(logits / 30.0) * 30.0
    return F.cross_entropy(capped, targets, reduction="sum")


class Forward:
    """Hidden states, logits and loss of right-padded batches, from the model's own parameters."""

    def __init__(self, model):
        self.model = model
        self.tables = {}

    def rope(self, kind, length):
        """cos and sin [length, 1, head size] of a layer kind."""
        if kind not in self.tables or self.tables[kind][0].shape[0] < length:
            positions = torch.arange(max(length, 512))[None]
            cos, sin = self.model.model.rotary_emb(torch.zeros(1), positions, kind)
            self.tables[kind] = (cos[0, :, None].clone(), sin[0, :, None].clone())
        cos, sin = self.tables[kind]
        return cos[:length], sin[:length]

    def attention(self, layer, x, batch, length):
        attn = layer.self_attn
        cos, sin = self.rope(attn.layer_type, length)
        shape = (batch, length, -1, attn.head_dim)
        q = norm_rotate(linear(x, attn.q_proj).view(shape), attn.q_norm.weight, cos, sin)
        k_raw = linear(x, attn.k_proj).view(shape)
        v = norm(k_raw if attn.v_proj is None else linear(x, attn.v_proj).view(shape))
        k = norm_rotate(k_raw, attn.k_norm.weight, cos, sin)
        groups = attn.num_key_value_groups
        q, k, v = (t.transpose(1, 2) for t in (q, k.repeat_interleave(groups, 2),
                                               v.repeat_interleave(groups, 2)))
        if attn.is_sliding and length > attn.sliding_window:
            distance = torch.arange(length)[:, None] - torch.arange(length)[None]
            mask = (distance >= 0) & (distance < attn.sliding_window)
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
        else:
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)
        return linear(out.transpose(1, 2).reshape(batch * length, -1), attn.o_proj)

    def route(self, router, x):
        """Top-k weights and indices [rows, k], and the load-balance term of this layer."""
        scaled = norm(x, router.scale) * router.scalar_root_size
        probabilities = torch.softmax(router.proj(scaled), -1)
        weights, index = torch.topk(probabilities, 8, -1)
        weights = weights / weights.sum(-1, keepdim=True) * router.per_expert_scale[index]
        share = torch.bincount(index.reshape(-1), minlength=128) / index.numel()
        balance = 128 * (share * probabilities.mean(0)).sum()
        return weights, index, balance

    def hidden(self, ids):
        """ids [batch, length] -> (final hidden states [batch * length, hidden], balance term)."""
        inner = self.model.model
        batch, length = ids.shape
        x = F.embedding(ids.reshape(-1), inner.embed_tokens.weight) * math.sqrt(128)
        balance = 0.0
        for layer in inner.layers:
            attended = self.attention(layer, norm(x, layer.input_layernorm.weight), batch,
                                      length)
            x = add_norm(x, attended, layer.post_attention_layernorm.weight)
            h = norm(x, layer.pre_feedforward_layernorm.weight)
            mlp = layer.mlp
            dense = linear(gated(linear(h, mlp.gate_proj), linear(h, mlp.up_proj)),
                           mlp.down_proj)
            weights, index, term = self.route(layer.router, x)
            balance = balance + term
            mixed = mixture.Mixture.apply(norm(x, layer.pre_feedforward_layernorm_2.weight),
                                          weights, index, layer.experts.gate_up_proj,
                                          layer.experts.down_proj)
            h = norm(dense, layer.post_feedforward_layernorm_1.weight)
            h = add_norm(h, mixed, layer.post_feedforward_layernorm_2.weight)
            x = add_norm(x, h, layer.post_feedforward_layernorm.weight) * layer.layer_scalar
        return norm(x, inner.norm.weight), balance / LAYERS

    def logits(self, hidden):
        """Without the soft cap, which does not change the order."""
        return hidden @ self.model.model.embed_tokens.weight.t()

    def loss(self, ids, targets, rows):
        """Mean loss over the supervised rows (positions in the flattened batch)."""
        hidden, balance = self.hidden(ids)
        logits = self.logits(hidden.index_select(0, rows))
        return capped_loss(logits, targets) / max(1, len(targets)), balance


@torch.no_grad()
def check(model):
    """The largest relative difference between the two forward passes in float32, on random ids."""
    mixture.PRODUCT_TYPE = torch.float32
    ids = torch.randint(107, vocabulary.SIZE - 7, (2, 300))
    official = model(input_ids=ids).logits
    forward = Forward(model)
    ours = torch.tanh(forward.logits(forward.hidden(ids)[0]) / 30.0) * 30.0
    mixture.PRODUCT_TYPE = mixture.FAST_TYPE
    return ((ours.view_as(official) - official).abs().max() / official.abs().max()).item()
