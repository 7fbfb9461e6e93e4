"""HTML document and stylesheet shared by mlr's pages, each a file that needs no other."""

from __future__ import annotations

from html import escape

GENERATOR = '<meta name="generator" content="mlr">'
"""Mark of a page that mlr wrote."""


def document(title: str, policy: str, style: str, body: str) -> str:
    """Write a whole page.

    Args:
        title: as text.
        policy: the Content-Security-Policy, by which nothing is loaded.
        style: the stylesheet.
        body: content of <body>, as HTML.
    """
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{GENERATOR}
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{escape(policy, quote=False)}">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body id="top">
{body}
</body>
</html>
"""


# a script adds the class printing before the page is printed, for white paper
# darker or lighter than the palette if the text would be hard to read
BASE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #16191d; --soft: #59616b; --rule: #dfe3e8; --panel: #f4f6f8;
  --good: #00704f; --bad: #b83200; --link: #005a91;
  --blue: #0072b2; --vermillion: #d55e00; --green: #009e73; --purple: #b8578c;
  --orange: #c98500; --sky: #2f9bd8; --grey: #7b828a;
}
@media (prefers-color-scheme: dark) {
  :root:not(.printing) {
    --paper: #14171b; --ink: #eceff2; --soft: #a3abb5; --rule: #343b43; --panel: #1d2227;
    --good: #4fd1a5; --bad: #ff8a5c; --link: #7cc4f5;
    --blue: #4fb0ee; --vermillion: #ff8540; --green: #2fc79b; --purple: #e39ac2;
    --orange: #f0b429; --sky: #8fd0f7; --grey: #a9b0b8;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 400 clamp(1.06rem, 0.9rem + 0.5vw, 1.5rem)/1.5 system-ui, -apple-system, "Segoe UI",
    Roboto, "Helvetica Neue", "Noto Sans", "DejaVu Sans", sans-serif;
}
header, nav, main, body > footer {
  max-width: 68rem; margin: 0 auto; padding: 0 clamp(1rem, 4vw, 3rem);
}
header { padding-top: clamp(2rem, 6vw, 5rem); }
h1 { font-size: clamp(2.1rem, 1.4rem + 3vw, 4rem); line-height: 1.08; margin: 0 0 .6em;
  letter-spacing: -.02em; text-wrap: balance; }
h2 { font-size: clamp(1.55rem, 1.1rem + 2vw, 2.8rem); line-height: 1.18; margin: 0 0 .9em;
  letter-spacing: -.012em; text-wrap: balance; }
h3 { font-size: 1em; color: var(--soft); font-weight: 600; margin: 1.8em 0 .5em; }
a { color: var(--link); text-decoration-thickness: .08em; text-underline-offset: .18em; }
:focus-visible { outline: .18em solid var(--link); outline-offset: .18em; border-radius: .2em; }
.verdict { font-size: clamp(1.3rem, 1rem + 1.4vw, 2.1rem); font-weight: 650; margin: 0; }
.small { font-size: .78em; color: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); }
section { border-top: 1px solid var(--rule); margin-top: 3.5rem; padding-top: 2.2rem; }
.above { display: flex; flex-wrap: wrap; gap: 0 1.2em; align-items: baseline; margin: 0 0 .8em;
  color: var(--soft); font-size: .85em; }
.above .steps { margin-left: auto; display: flex; gap: 1em; }
code { font: .95em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  background: var(--panel); color: var(--ink); padding: .15em .5em; border-radius: .35em;
  overflow-wrap: anywhere; user-select: all; }
.answer { font-size: clamp(1.25rem, 1rem + 1vw, 1.85rem); line-height: 1.4; font-weight: 550;
  border-left: .22em solid var(--blue); padding-left: .9em; margin: 1.2em 0; text-wrap: pretty; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { text-align: left; font-size: .74em; font-weight: 600; color: var(--soft); }
th, td { padding: .5em 1.2em .5em 0; vertical-align: baseline;
  border-bottom: 1px solid var(--rule); }
body > footer { padding-top: 3rem; padding-bottom: 4rem; }
"""
"""Large system type, light and dark, hall and phone and paper."""
