"""matplotlib's SVG made small, self-contained, safe to put into a page beside others, and readable aloud."""

import re
from xml.sax.saxutils import escape

_FONTS = "system-ui, 'Helvetica Neue', Arial, 'DejaVu Sans', 'Noto Sans', sans-serif"
_ROOT = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
    'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}" font-family="{fonts}" '
    'stroke-linejoin="round">\n<title>{title}</title>\n<desc>{about}</desc>'
)

#: What every text repeats, names of groups that a second picture would have too, and rules for a whole page.
_SUPERFLUOUS = (
    (re.compile(r"<defs>\s*<style type=\"text/css\">.*?</style>\s*</defs>", re.S), ""),
    (re.compile(r"<g id=\"[\w.]+\">"), "<g>"),
    (re.compile(r" font-family: 'DejaVu Sans';?"), ""),
    (re.compile(r" transform=\"rotate\(-0 [-\d. ]+\)\""), ""),
    (re.compile(r"^\s+", re.M), ""),
)


def tidy(written: str, size: tuple[float, float], title: str, about: str) -> str:
    """`written` by matplotlib with text as text; `size` in units of the picture, which are pixels."""
    body = written[written.index(">", written.index("<svg")) + 1 :]
    for pattern, instead in _SUPERFLUOUS:
        body = pattern.sub(instead, body)
    root = _ROOT.format(width=size[0], height=size[1], fonts=_FONTS, title=escape(title), about=escape(about))
    return f"{root}\n{body.lstrip()}"
