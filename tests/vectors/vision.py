#!/usr/bin/env python3
"""Reference vectors of what is done to images: resampling, windows, pooling, in the form of `make.py` (which see).

    OMP_NUM_THREADS=1 python3 vision.py [file…]
"""

import math

import torch
import torch.nn.functional as F

import catalogue
from make import begin, case, f32, i64, ids, positive, rand


def upsampling():
    begin("upsample")
    def up(shape, call, **o):
        case(call, f"upsample({call})", {"x": rand(*shape)}, lambda x: F.interpolate(x, **o))
    up((2, 2, 3), "2", scale_factor=2)
    up((1, 2, 3, 2), "scale = 3", scale_factor=3)
    up((1, 1, 2, 3, 2), "[2, 1, 3]", scale_factor=(2, 1, 3))
    up((1, 1, 5, 7), "scale = [0.5, 1.5]", scale_factor=(0.5, 1.5))
    up((1, 2, 5), "size = 13", size=13)
    up((1, 1, 13, 6), "size = [5, 7]", size=(5, 7))
    up((1, 1, 7), "0.6", scale_factor=0.6)
    for mode, theirs in [("nearest_exact", "nearest-exact")]:
        up((2, 2, 5), f'2, mode = "{mode}"', scale_factor=2, mode=theirs)
        up((1, 1, 5, 4), f'size = [3, 7], mode = "{mode}"', size=(3, 7), mode=theirs)
        up((1, 1, 4, 3, 5), f'[1.5, 2, 0.5], mode = "{mode}"', scale_factor=(1.5, 2, 0.5), mode=theirs)
    up((2, 1, 7), '0.5, mode = "area"', scale_factor=0.5, mode="area")
    up((1, 2, 5, 7), 'size = [3, 4], mode = "area"', size=(3, 4), mode="area")
    up((1, 1, 3, 4, 5), 'size = [2, 6, 5], mode = "area"', size=(2, 6, 5), mode="area")
    up((0, 2, 3, 3), "2", scale_factor=2)
    up((1, 2, 1, 1), "4", scale_factor=4)
    case("one infinite pixel", "upsample(2)", {"x": f32([[[1, math.inf, -2]]])}, lambda x: F.interpolate(x, scale_factor=2), grad=False)
    begin("upsample_between")
    for mode, shape in [("linear", (2, 2, 5)), ("bilinear", (1, 1, 4, 3)), ("trilinear", (1, 1, 2, 3, 2)), ("bicubic", (1, 1, 4, 3))]:
        for aligned in (False, True):
            word = f', mode = "{mode}", align_corners = {str(aligned).lower()}' if aligned else f', mode = "{mode}"'
            up(shape, f"2{word}", scale_factor=2, mode=mode, align_corners=aligned)
            up(shape, f"size = 3{word}", size=[3] * (len(shape) - 2), mode=mode, align_corners=aligned)
            up(shape, f"0.7{word}", scale_factor=0.7, mode=mode, align_corners=aligned)
        up(shape[:2] + (1,) * (len(shape) - 2), f'3, mode = "{mode}"', scale_factor=3, mode=mode)
    up((1, 1, 5, 7), '[1.3, 2.6], mode = "bilinear"', scale_factor=(1.3, 2.6), mode="bilinear")
    up((1, 1, 5, 7), 'size = 1, mode = "bilinear", align_corners = true', size=1, mode="bilinear", align_corners=True)
    up((1, 1, 7, 5), 'size = [3, 2], mode = "bicubic"', size=(3, 2), mode="bicubic")


def windows():
    """PyTorch's unfold and fold know two spatial axes: one is a row of them, three are the windows of `Tensor.unfold`."""
    begin("unfold")
    def case_of(shape, call, **o):
        case(call, f"unfold({call})", {"x": rand(*shape)}, lambda x: F.unfold(x, **o))
    case_of((2, 2, 3, 4), "2", kernel_size=2)
    case_of((1, 2, 4, 5), "kernel = [3, 2]", kernel_size=(3, 2))
    case_of((1, 1, 5, 4), "3, stride = 2, pad = 1", kernel_size=3, stride=2, padding=1)
    case_of((1, 2, 5, 6), "2, dilation = 2", kernel_size=2, dilation=2)
    case_of((1, 1, 5, 4), "[2, 3], [2, 1], [1, 2], [2, 3]", kernel_size=(2, 3), dilation=(2, 1), padding=(1, 2), stride=(2, 3))
    case_of((1, 2, 5, 5), "1, stride = 3", kernel_size=1, stride=3)
    case_of((2, 3, 1, 1), "1", kernel_size=1)
    case_of((0, 2, 3, 3), "2", kernel_size=2)
    row = lambda x, **o: F.unfold(x.unsqueeze(2), **o)
    case("one axis", "unfold(3, pad = 1, stride = 2)", {"x": rand(2, 2, 6)}, lambda x: row(x, kernel_size=(1, 3), padding=(0, 1), stride=(1, 2)))
    cube = lambda x: x.unfold(2, 2, 1).unfold(3, 2, 1).unfold(4, 1, 2).permute(0, 1, 5, 6, 7, 2, 3, 4).reshape(x.shape[0], x.shape[1] * 4, -1)
    case("three axes", "unfold([2, 2, 1], stride = [1, 1, 2])", {"x": rand(1, 2, 3, 3, 3)}, cube)
    begin("fold")
    def laid(shape, call, **o):
        case(call, f"fold({call})", {"x": rand(*shape)}, lambda x: F.fold(x, **o))
    laid((2, 8, 6), "[3, 4], 2", output_size=(3, 4), kernel_size=2)
    laid((1, 4, 9), "size = 4, kernel = 2", output_size=4, kernel_size=2)
    laid((1, 9, 6), "[5, 4], 3, stride = 2, pad = 1", output_size=(5, 4), kernel_size=3, stride=2, padding=1)
    laid((1, 8, 12), "[5, 6], 2, dilation = 2", output_size=(5, 6), kernel_size=2, dilation=2)
    laid((1, 6, 6), "[5, 4], [2, 3], [2, 1], [1, 2], [2, 3]", output_size=(5, 4), kernel_size=(2, 3), dilation=(2, 1), padding=(1, 2), stride=(2, 3))
    laid((1, 2, 4), "5, 1, stride = 3", output_size=5, kernel_size=1, stride=3)
    laid((0, 4, 4), "3, 2", output_size=3, kernel_size=2)
    laid((1, 3, 1), "1, 1", output_size=1, kernel_size=1)
    case("one axis", "fold([6], 3, pad = 1, stride = 2)", {"x": rand(2, 6, 3)},
         lambda x: F.fold(x, (1, 6), (1, 3), padding=(0, 1), stride=(1, 2)).squeeze(2))


def poolings():
    def both(name, call, x, fn, **o):
        case(name, f"(y, indices) = x |> {call}\n(y, indices)", {"x": x}, fn, **o)

    begin("adaptive_avgpool")
    for size, theirs, shape in [("1", 1, (2, 3, 4, 5)), ("[2, 3]", (2, 3), (1, 2, 5, 7)), ("size = 4", 4, (2, 2, 6)), ("3", 3, (1, 1, 7, 2, 3)), ("[5, 2]", (5, 2), (1, 2, 3, 4)), ("7", 7, (1, 2, 7, 7)), ("2", 2, (0, 2, 3, 3)), ("3", 3, (2, 1, 1, 1))]:
        pool = [F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d][len(shape) - 3]
        case(f"{size} of {list(shape)}", f"adaptive_avgpool({size})", {"x": rand(*shape)}, lambda x: pool(x, theirs))
    begin("adaptive_maxpool")
    for size, theirs, shape in [("1", 1, (2, 3, 4, 5)), ("[2, 3]", (2, 3), (1, 2, 5, 7)), ("size = 4", 4, (2, 2, 6)), ("3", 3, (1, 1, 7, 2, 3)), ("[5, 2]", (5, 2), (1, 2, 3, 4)), ("2", 2, (1, 2, 4, 4)), ("3", 3, (2, 1, 1, 1))]:
        pool = [F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d][len(shape) - 3]
        both(f"{size} of {list(shape)}", f"adaptive_maxpool({size})", rand(*shape), lambda x: pool(x, theirs, return_indices=True))
    case("empty batch", "adaptive_maxpool(2)", {"x": rand(0, 2, 3, 3)}, lambda x: F.adaptive_max_pool2d(x, 2))
    both("ties go to the first", "adaptive_maxpool(2)", f32([[[1, 1, 1, 2, 2]]]), lambda x: F.adaptive_max_pool1d(x, 2, return_indices=True))
    both("not-a-number wins", "adaptive_maxpool(2)", f32([[[1, math.nan, 3, 4, -math.inf]]]), lambda x: F.adaptive_max_pool1d(x, 2, return_indices=True), grad=False)
    begin("maxpool_global")
    case("two axes", "maxpool_global", {"x": rand(2, 3, 4, 3)}, lambda x: F.adaptive_max_pool2d(x, 1).flatten(1))
    case("two axes, kept", "maxpool_global(keep = true)", {"x": rand(2, 3, 2, 3)}, lambda x: F.adaptive_max_pool2d(x, 1))
    case("one axis", "maxpool_global(false)", {"x": rand(2, 3, 5)}, lambda x: F.adaptive_max_pool1d(x, 1).flatten(1))
    case("three axes, kept", "maxpool_global(true)", {"x": rand(1, 2, 2, 3, 2)}, lambda x: F.adaptive_max_pool3d(x, 1))
    case("ties go to the first", "maxpool_global", {"x": f32([[[1, 3, 3, 3]]])}, lambda x: F.adaptive_max_pool1d(x, 1).flatten(1))
    case("not-a-number wins", "maxpool_global", {"x": f32([[[1, math.nan, 3]]])}, lambda x: F.adaptive_max_pool1d(x, 1).flatten(1), grad=False)
    case("empty batch", "maxpool_global", {"x": rand(0, 3, 2, 2)}, lambda x: F.adaptive_max_pool2d(x, 1).flatten(1))
    begin("lp_pool")
    def lp(shape, call, p, *rest, **o):
        pool = [F.lp_pool1d, F.lp_pool2d, F.lp_pool3d][len(shape) - 3]
        case(f"{call} of {list(shape)}", f"lp_pool({call})", {"x": positive(*shape)}, lambda x: pool(x, p, *rest, **o))
    lp((2, 2, 7), "2, 3", 2, 3)
    lp((1, 2, 4, 5), "3, [2, 3], 1", 3, (2, 3), 1)
    lp((1, 2, 5, 4), "p = 1.5, kernel = 2, stride = 2", 1.5, 2, 2)
    lp((1, 1, 5, 4), "2, 2, ceil_mode = true", 2, 2, ceil_mode=True)
    lp((1, 1, 2, 3, 4), "4, 2, stride = [1, 1, 2]", 4, 2, (1, 1, 2))
    lp((1, 2, 5, 5), "2, 1, stride = 3", 2, 1, 3)
    lp((0, 2, 4, 4), "2, 2", 2, 2)
    case("even powers of negative numbers", "lp_pool(2, 2)", {"x": rand(2, 1, 4, 4)}, lambda x: F.lp_pool2d(x, 2, 2))
    case("an odd power of negative sums has no root", "lp_pool(3, 2)", {"x": f32([[[-1, -2, 3, 4]]])}, lambda x: F.lp_pool1d(x, 3.0, 2), grad=False)
    case("the first power is a sum", "lp_pool(1, 2)", {"x": f32([[[-1, -2, 3, 4]]])}, lambda x: F.lp_pool1d(x, 1.0, 2))
    case("zeros", "lp_pool(2, 2)", {"x": f32([[[0, 0, 3, 4]]])}, lambda x: F.lp_pool1d(x, 2.0, 2), grad=False)
    begin("maxunpool")
    def back(name, call, shape, pool, unpool, kernel, stride=None, padding=0, size=None):
        x, indices = pool(rand(*shape), kernel, stride, padding, return_indices=True)
        case(name, f"(x, i) |> maxunpool({call})", {"x": rand(*x.shape), "i": indices}, lambda x, i: unpool(x, i, kernel, stride, padding, size))
    back("two axes", "2", (2, 2, 4, 6), F.max_pool2d, F.max_unpool2d, 2)
    back("one setting an axis", "[2, 3]", (1, 2, 4, 6), F.max_pool2d, F.max_unpool2d, (2, 3))
    back("a rest that was dropped", "2, size = [5, 5]", (1, 1, 5, 5), F.max_pool2d, F.max_unpool2d, 2, size=(5, 5))
    back("stride larger than the kernel", "kernel = 2, stride = 3", (1, 2, 8, 5), F.max_pool2d, F.max_unpool2d, 2, 3)
    back("pad", "2, 2, 1", (1, 1, 4, 4), F.max_pool2d, F.max_unpool2d, 2, 2, 1)
    back("pad, by name", "kernel = 3, stride = 3, pad = 1", (1, 1, 7, 4), F.max_pool2d, F.max_unpool2d, 3, 3, 1)
    back("one axis", "2", (2, 2, 6), F.max_pool1d, F.max_unpool1d, 2)
    back("one axis, a size for all", "2, size = 7", (2, 2, 7), F.max_pool1d, F.max_unpool1d, 2, size=(7,))
    back("three axes", "[1, 2, 2]", (1, 1, 3, 4, 2), F.max_pool3d, F.max_unpool3d, (1, 2, 2))
    back("one element", "1", (1, 1, 1, 1), F.max_pool2d, F.max_unpool2d, 1)
    case("equal values of one position", "(x, i) |> maxunpool(2, stride = 1)", {"x": f32([[[5, 5, 7]]]), "i": i64([[[1, 1, 3]]])}, lambda x, i: F.max_unpool1d(x, i, 2, 1), grad=False)
    case("empty batch", "(x, i) |> maxunpool(2)", {"x": rand(0, 2, 2, 2), "i": ids(4, 0, 2, 2, 2)}, lambda x, i: x.new_zeros(0, 2, 4, 4) * x.sum())


def grids():
    """grid_sample: points inside, far outside, on centres and on edges."""
    call = "(x, grid) |> grid_sample"
    def at(x, points, attrs="", **o):
        o = {"align_corners": False} | o
        case(f"{attrs or 'plain'} of {list(x.shape)}", f"{call}({attrs})" if attrs else call, {"x": x, "grid": points}, lambda x, g: F.grid_sample(x, g, **o))
    for name, mode in [("grid_sample", "bilinear"), ("grid_sample_nearest", "nearest"), ("grid_sample_bicubic", "bicubic")]:
        begin(name)
        word = [] if mode == "bilinear" else [f'mode = "{mode}"']
        for beyond in ("zeros", "border", "reflection"):
            for aligned in (False, True):
                attrs = word + ([] if beyond == "zeros" else [f'pad_mode = "{beyond}"']) + (["align_corners = true"] if aligned else [])
                at(rand(2, 2, 3, 4), rand(2, 2, 3, 2, scale=0.75), ", ".join(attrs), mode=mode, padding_mode=beyond, align_corners=aligned)
                if mode == "bilinear":
                    at(rand(1, 1, 3, 2), rand(1, 2, 2, 2, scale=4), ", ".join(attrs), mode=mode, padding_mode=beyond, align_corners=aligned)
    begin("grid_sample_more")
    at(rand(1, 2, 3, 4), rand(1, 2, 2, 2), '"bilinear", "border", true', mode="bilinear", padding_mode="border", align_corners=True)
    at(rand(1, 2, 2, 3, 4), rand(1, 2, 1, 2, 3, scale=0.75))
    at(rand(1, 1, 2, 3, 2), rand(1, 2, 1, 2, 3), 'pad_mode = "reflection", align_corners = true', padding_mode="reflection", align_corners=True)
    at(rand(1, 1, 2, 3, 2), rand(1, 2, 1, 2, 3), '"nearest", "border"', mode="nearest", padding_mode="border")
    at(rand(1, 2, 1, 1), rand(1, 2, 2, 2, scale=0.5))
    at(rand(1, 1, 1, 1), rand(1, 1, 3, 2), 'pad_mode = "reflection", align_corners = true', padding_mode="reflection", align_corners=True)
    at(rand(0, 2, 3, 3), rand(0, 2, 2, 2))
    corners = f32([[[[-1, -1], [1, 1], [-1, 1], [0, 0]]]])
    for aligned in (False, True):
        attrs = 'pad_mode = "border"' + (", align_corners = true" if aligned else "")
        at(rand(1, 1, 3, 3), corners, attrs, padding_mode="border", align_corners=aligned)
    odd = f32([[[[math.nan, 0.25], [math.inf, 0], [0, -math.inf], [100, -100]]]])
    for attrs, beyond in [("", "zeros"), ('pad_mode = "border"', "border")]:
        case(f"not-a-number and the infinities, {beyond}", f"{call}({attrs})" if attrs else call, {"x": rand(1, 1, 3, 4), "grid": odd},
             lambda x, g: F.grid_sample(x, torch.nan_to_num(g, -1.0, 1e6, -1e6), padding_mode=beyond, align_corners=False), grad=False)


def borders():
    """Convolutions over one and three axes with every border, and attributes that change no number."""
    begin("conv_modes")
    wb = lambda o, c, *k: {"conv.weight": rand(o, c, *k), "conv.bias": rand(o)}
    for mode in ("reflect", "replicate", "circular"):
        line = lambda x, p: F.conv1d(F.pad(x, (2, 2), mode=mode), p["conv.weight"], p["conv.bias"], stride=2)
        case(f"one axis, {mode}", f'conv(2, 5, stride = 2, pad = 2, pad_mode = "{mode}")', {"x": rand(2, 2, 7)}, line, wb(2, 2, 5))
        cube = lambda x, p: F.conv3d(F.pad(x, (1, 1, 0, 0, 1, 1), mode=mode), p["conv.weight"], p["conv.bias"])
        case(f"three axes, {mode}", f'conv(1, [3, 1, 3], pad = [1, 0, 1], pad_mode = "{mode}")', {"x": rand(1, 2, 3, 2, 3)}, cube, wb(1, 2, 3, 1, 3))
        same = lambda x, p: F.conv2d(F.pad(x, (0, 1, 1, 2), mode=mode), p["conv.weight"], p["conv.bias"])
        case(f"same, {mode}", f'conv(1, [4, 2], pad = "same", pad_mode = "{mode}")', {"x": rand(1, 1, 4, 3)}, same, wb(1, 1, 4, 2))
    past = lambda x, p: F.conv1d(F.pad(x, (4, 0), mode="replicate"), p["conv.weight"], p["conv.bias"], dilation=2, groups=2)
    case("causal, the first place repeated", 'conv(2, 3, pad = "causal", dilation = 2, groups = 2, pad_mode = "replicate")', {"x": rand(1, 2, 6)}, past, wb(2, 1, 3))
    case("causal, stride", 'conv(2, 3, pad = "causal", stride = 2)', {"x": rand(1, 2, 7)}, lambda x, p: F.conv1d(F.pad(x, (2, 0)), p["conv.weight"], p["conv.bias"], stride=2), wb(2, 2, 3))
    case("how it begins does not matter here", "conv(out = 2, kernel = 2, init = normal(0.02), bias_init = zeros, gain = 1)", {"x": rand(1, 2, 3, 3)}, lambda x, p: F.conv2d(x, p["conv.weight"], p["conv.bias"]), wb(2, 2, 2, 2))
    begin("conv_transpose_1d_3d")
    def up(shape, call, weight, f, **o):
        w = {"conv_transpose.weight": rand(*weight), "conv_transpose.bias": rand(weight[1] * o.get("groups", 1))}
        case(call, f"conv_transpose({call})", {"x": rand(*shape)}, lambda x, p: f(x, p["conv_transpose.weight"], p["conv_transpose.bias"], **o), w)
    up((2, 4, 3), "6, 3, stride = 2, groups = 2", (4, 3, 3), F.conv_transpose1d, stride=2, groups=2)
    up((1, 2, 4), "1, 3, stride = 3, pad = 1, output_pad = 2, dilation = 2", (2, 1, 3), F.conv_transpose1d, stride=3, padding=1, output_padding=2, dilation=2)
    up((1, 2, 2, 3, 2), "2, [1, 2, 3], stride = [1, 2, 1], pad = [0, 1, 1], groups = 2", (2, 1, 1, 2, 3), F.conv_transpose3d, stride=(1, 2, 1), padding=(0, 1, 1), groups=2)
    up((1, 1, 2, 2, 2), "1, 2, stride = 2, output_pad = [1, 0, 1]", (1, 1, 2, 2, 2), F.conv_transpose3d, stride=2, output_padding=(1, 0, 1))
    up((1, 2, 3), "out = 1, kernel = 2, init = zeros, bias_init = ones, gain = 1", (2, 1, 2), F.conv_transpose1d)


PARTS = [upsampling, windows, poolings, grids, borders]

if __name__ == "__main__":
    catalogue.PARTS[:] = PARTS
    catalogue.main()
