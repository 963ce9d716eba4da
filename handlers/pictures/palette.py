"""Colours that stay apart for colour-blind eyes and in print.

Sources: Okabe & Ito (2008) for model and baseline; Tol's «muted» scheme (2021) for classes.
"""

MODEL = "#0072B2"
BASELINE = "#D55E00"
INK = "#222222"
FAINT = "#666666"
RULE = "#CCCCCC"
GROUND = "#FFFFFF"

#: The baseline, for those who see no colours.
DASHED = (0, (5, 2))

CLASSES = (
    "#332288", "#44AA99", "#DDAA33", "#CC6677", "#88CCEE", "#882255", "#117733", "#AA4499", "#999933", "#888888",
)  # fmt: skip

#: From hardly any to all; white text is readable from the fourth on.
SHADES = ("#E3EEF7", "#BDD7EB", "#85B6DA", "#3F8DC2", "#0A5E9C", "#063A66")


def shade(share: float) -> str:
    """The shade of a share between 0 and 1, mixed between the two that are next to it; 0 is white."""
    place = min(max(share, 0.0), 1.0) * len(SHADES)
    below = min(int(place), len(SHADES) - 1)
    ends = (GROUND, *SHADES)[below : below + 2]
    first, second = ([int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in ends)
    mixed = [round(a + (b - a) * (place - below)) for a, b in zip(first, second, strict=True)]
    return "#{:02X}{:02X}{:02X}".format(*mixed)
