"""The public classes of torch.nn, one a line: python torch_nn.py > ../fixtures/torch_nn.txt"""

import inspect

import torch.nn

for name, value in sorted(vars(torch.nn).items()):
    if inspect.isclass(value) and not name.startswith("_"):
        print(name)
