"""A small network of PyTorch's, saved as the README says, and what it gives: python tiny.py

Writes ../fixtures/torch_tiny.safetensors with the README's own script, and prints input and output for tests/embed.rs.
"""

import pathlib
import subprocess
import sys
import tempfile

import torch
from torch import nn

here = pathlib.Path(__file__).resolve().parent
torch.manual_seed(3)


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(5, 4)
        self.norm = nn.LayerNorm(4)
        self.fc = nn.Linear(4, 8)
        self.proj = nn.Linear(8, 4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.tok.weight

    def forward(self, ids):
        return self.head(self.proj(nn.functional.gelu(self.fc(self.norm(self.tok(ids))))))


model = Tiny()
nn.init.normal_(model.norm.weight, 1.0, 0.3)
nn.init.normal_(model.norm.bias, 0.0, 0.3)
readme = (here.parent.parent / "README.md").read_text()
script = readme.split("```python\n")[1].split("```")[0]
with tempfile.TemporaryDirectory() as folder:
    wrapped = {f"module.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": wrapped}, f"{folder}/tiny.pt")
    target = str(here.parent / "fixtures" / "torch_tiny.safetensors")
    subprocess.run([sys.executable, "-c", script, f"{folder}/tiny.pt", target], check=True)
ids = torch.tensor([[0, 1, 2], [4, 3, 0]])
with torch.no_grad():
    print([round(value, 6) for value in model(ids).flatten().tolist()])
