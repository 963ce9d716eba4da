"""Colours of explanations on a light ground, and what stands for them on a dark one.

From blue over grey to vermillion, the ends as in Okabe & Ito (2008): told apart by colour-blind eyes, and of equal
weight, for neither end is better.
"""

from handlers.pictures import palette

UP = palette.BASELINE
DOWN = palette.MODEL
#: From the lowest to the highest fifth.
RAMP = (palette.MODEL, "#74A9CF", "#A8A2A4", "#E39B62", palette.BASELINE)
UNKNOWN = "#CDCDCD"
BAND = "#DCE7F0"
PALE = "#9FC4DE"
STRIPE = "#F4F6F8"

_DARK = {
    palette.INK: "#E4E8EF",
    palette.FAINT: "#A3AEBF",
    palette.RULE: "#2F3846",
    palette.GROUND: "#12161D",
    palette.MODEL: "#4FA5E0",
    palette.BASELINE: "#F5853A",
    UNKNOWN: "#55606F",
    BAND: "#263444",
    PALE: "#3B6C90",
    STRIPE: "#181D26",
    "#332288": "#8F80E8",
    "#882255": "#D9619B",
    "#117733": "#3FAE6A",
    "#AA4499": "#D07CC3",
}


def dark_style(scope: str) -> str:
    """CSS for the dark: it overrides the colours that are written at the shapes themselves, so that a programme
    that knows no such rule shows the light picture as it is.
    """
    rules = [
        f".{scope} [style*='{way}: {light.lower()}']{{{way}:{dark}!important}}"
        for light, dark in _DARK.items()
        for way in ("fill", "stroke")
    ]
    return f"<style>@media (prefers-color-scheme: dark){{{''.join(rules)}}}</style>"
