#!/usr/bin/env python3
"""How many parameters the published architectures have, counted by PyTorch: tests/models.rs holds `models/` to them.

How to run (not part of CI; what it writes to counts.txt beside itself is committed):

    pip install torch==2.15.0 torchvision==0.29.2 transformers==5.24.0
    python3 counts.py

Every row is counted twice where two sources exist: from a library that others maintain (torchvision, transformers,
torch.nn.Transformer) and from the layers that the paper names, as plain torch.nn modules. Nothing is allocated: all
modules live on the `meta` device. What a library does otherwise than the paper stands beside the row.
"""

import pathlib

import torch
from torch import nn

torch.set_default_device("meta")


def count(module):
    return sum(p.numel() for p in {id(p): p for p in module.parameters()}.values())


def linear(a, b, bias=True):
    return nn.Linear(a, b, bias=bias)


def attention(d, bias=True, kv=None):
    """Four projections; `kv`: the width of keys and values where it is not d."""
    kv = kv or d
    return nn.ModuleList([linear(d, d, bias), linear(d, kv, bias), linear(d, kv, bias), linear(d, d, bias)])


def mlp(d, hidden, bias=True):
    return nn.ModuleList([linear(d, hidden, bias), linear(hidden, d, bias)])


# ------------------------------------------------------------------------------------------------ transformers


def gpt2():
    d = 768
    layer = lambda: nn.ModuleList([nn.LayerNorm(d), attention(d), nn.LayerNorm(d), mlp(d, 4 * d)])
    return nn.ModuleList([nn.Embedding(50257, d), nn.Embedding(1024, d), *[layer() for _ in range(12)], nn.LayerNorm(d)])


def llama(vocab, d, heads, kv_heads, hidden, depth):
    layer = lambda: nn.ModuleList([
        nn.RMSNorm(d), attention(d, bias=False, kv=d // heads * kv_heads), nn.RMSNorm(d),
        *[linear(d, hidden, False) for _ in range(2)], linear(hidden, d, False),
    ])
    return nn.ModuleList(
        [nn.Embedding(vocab, d), *[layer() for _ in range(depth)], nn.RMSNorm(d), linear(d, vocab, False)])


def bert():
    d = 768
    layer = lambda: nn.ModuleList([attention(d), nn.LayerNorm(d), mlp(d, 4 * d), nn.LayerNorm(d)])
    tables = [nn.Embedding(30522, d), nn.Embedding(512, d), nn.Embedding(2, d), nn.LayerNorm(d)]
    return nn.ModuleList([*tables, *[layer() for _ in range(12)], linear(d, d)])


def transformer(bias=False):
    """Vaswani et al. 2017, section 3: one table of 37,000 rows for both languages and the logits, sinusoidal positions,
    projections W^Q, W^K, W^V, W^O without biases, FFN with b_1 and b_2, a LayerNorm a sublayer and none at the end."""
    d, hidden = 512, 2048
    encoder = lambda: nn.ModuleList([attention(d, bias), mlp(d, hidden), *[nn.LayerNorm(d) for _ in range(2)]])
    decoder = lambda: nn.ModuleList(
        [attention(d, bias), attention(d, bias), mlp(d, hidden), *[nn.LayerNorm(d) for _ in range(3)]])
    return nn.ModuleList([nn.Embedding(37000, d), *[encoder() for _ in range(6)], *[decoder() for _ in range(6)]])


def transformer_by_torch():
    """torch.nn.Transformer has a bias in each of its 18 * 4 projections and a norm behind each of its two stacks."""
    torchs = count(nn.Transformer(512, 8, 6, 6, 2048))
    assert torchs == 44_140_544, torchs
    return torchs - 18 * 4 * 512 - 2 * count(nn.LayerNorm(512)) + 37000 * 512


def vit():
    d = 768
    layer = lambda: nn.ModuleList([nn.LayerNorm(d), attention(d), nn.LayerNorm(d), mlp(d, 4 * d)])
    tables = nn.ParameterList([nn.Parameter(torch.empty(1, 1, d)), nn.Parameter(torch.empty(1, 1 + 14 * 14, d))])
    return nn.ModuleList([nn.Conv2d(3, d, 16, 16), tables, *[layer() for _ in range(12)], nn.LayerNorm(d), linear(d, 1000)])


# ------------------------------------------------------------------------------------------------ convolutions


def conv_norm(a, b, kernel, groups=1):
    return nn.ModuleList([nn.Conv2d(a, b, kernel, groups=groups, bias=False), nn.BatchNorm2d(b)])


def resnet18():
    layers, c = [conv_norm(3, 64, 7)], 64
    for width in (64, 128, 256, 512):
        for _ in range(2):
            layers += [conv_norm(c, width, 3), conv_norm(width, width, 3)]
            if c != width:
                layers.append(conv_norm(c, width, 1))
            c = width
    return nn.ModuleList([*layers, linear(512, 1000)])


def resnet50():
    layers, c = [conv_norm(3, 64, 7)], 64
    for width, depth in zip((64, 128, 256, 512), (3, 4, 6, 3)):
        for _ in range(depth):
            layers += [conv_norm(c, width, 1), conv_norm(width, width, 3), conv_norm(width, 4 * width, 1)]
            if c != 4 * width:
                layers.append(conv_norm(c, 4 * width, 1))
            c = 4 * width
    return nn.ModuleList([*layers, linear(2048, 1000)])


def mobilenet_v2():
    layers, c = [conv_norm(3, 32, 3)], 32
    rows = (1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)
    for t, out, n in rows:
        for _ in range(n):
            layers += [conv_norm(c, t * c, 1)] if t > 1 else []
            layers += [conv_norm(t * c, t * c, 3, groups=t * c), conv_norm(t * c, out, 1)]
            c = out
    return nn.ModuleList([*layers, conv_norm(320, 1280, 1), linear(1280, 1000)])


def densenet121():
    growth, c = 32, 64
    layers = [conv_norm(3, c, 7)]
    for i, depth in enumerate((6, 12, 24, 16)):
        for _ in range(depth):
            layers += [nn.BatchNorm2d(c), conv_norm(c, 4 * growth, 1), nn.Conv2d(4 * growth, growth, 3, bias=False)]
            c += growth
        layers.append(nn.BatchNorm2d(c))
        if i < 3:
            layers.append(nn.Conv2d(c, c // 2, 1, bias=False))
            c //= 2
    return nn.ModuleList([*layers, linear(c, 1000)])


def unet():
    """Ronneberger et al. 2015, figure 1: 23 convolutions with biases, four of them transposed; no norm."""
    double = lambda a, b: nn.ModuleList([nn.Conv2d(a, b, 3), nn.Conv2d(b, b, 3)])
    widths = [64, 128, 256, 512, 1024]
    down = [double(a, b) for a, b in zip([1, *widths], widths)]
    up = [nn.ModuleList([nn.ConvTranspose2d(2 * c, c, 2, 2), double(2 * c, c)]) for c in widths[:-1]]
    return nn.ModuleList([*down, *up, nn.Conv2d(64, 2, 1)])


def vae(pixels=64, hidden=64, latent=8):
    """Kingma and Welling 2014, appendix C: one tanh layer on each side, mean and logarithm of the variance."""
    encoder = [linear(pixels, hidden), linear(hidden, latent), linear(hidden, latent)]
    return nn.ModuleList([*encoder, linear(latent, hidden), linear(hidden, pixels)])


# ------------------------------------------------------------------------------------------------ the table


def libraries():
    """The same architectures as others have built them."""
    import torchvision.models as vision
    import transformers as hf

    seven = hf.LlamaConfig(vocab_size=32000, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32)
    seventy = hf.LlamaConfig(
        vocab_size=128256, hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64,
        num_key_value_heads=8, tie_word_embeddings=False)
    return {
        "gpt": count(hf.GPT2LMHeadModel(hf.GPT2Config())),
        "llama": count(hf.LlamaForCausalLM(seven)),
        "llama3_70b": count(hf.LlamaForCausalLM(seventy)),
        "bert": count(hf.BertModel(hf.BertConfig())),
        "transformer": transformer_by_torch(),
        "vit": count(vision.vit_b_16()),
        "resnet18": count(vision.resnet18()),
        "resnet50": count(vision.resnet50()),
        "mobilenet_v2": count(vision.mobilenet_v2()),
        "densenet121": count(vision.densenet121()),
    }


def main():
    own = {
        "gpt": gpt2(),
        "llama": llama(32000, 4096, 32, 32, 11008, 32),
        "llama3_70b": llama(128256, 8192, 64, 8, 28672, 80),
        "bert": bert(),
        "transformer": transformer(),
        "vit": vit(),
        "resnet18": resnet18(),
        "resnet50": resnet50(),
        "mobilenet_v2": mobilenet_v2(),
        "densenet121": densenet121(),
        "unet": unet(),
        "vae": vae(),
    }
    own = {name: count(module) for name, module in own.items()}
    others, rows = libraries(), []
    for name, number in own.items():
        assert others.get(name, number) == number, f"{name}: {number:,} from its layers, {others[name]:,} by a library"
        rows.append(f"{name:<14}{number:>16,}   {'by its layers and by a library' if name in others else 'by its layers'}")
    text = "\n".join(rows) + "\n"
    (pathlib.Path(__file__).resolve().parent / "counts.txt").write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
