"""A recurrent network with gates over tokens."""

from torch import nn

from .recurrent import Recurrent


class Lstm(Recurrent):
    """Hochreiter and Schmidhuber (1997), «Long Short-Term Memory»: gates decide what is kept over many tokens."""

    name = "lstm"
    cell = nn.LSTM
