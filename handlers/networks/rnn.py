"""A simple recurrent network over tokens."""

from torch import nn

from .recurrent import Recurrent


class Rnn(Recurrent):
    """Elman (1990), «Finding Structure in Time»: each state follows from the token and the state before."""

    name = "rnn"
    cell = nn.RNN
