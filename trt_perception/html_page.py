# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""HTML pages of one file that load nothing from elsewhere: their style, light and dark, and their common parts."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_STYLE = """
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --text: #1b2330; --soft: #5b6677; --line: #dde2ea;
  --blue: #2563c9; --good: #157347; --good-back: #e3f4ea; --bad: #a1440b; --bad-back: #fdeedd; --skip: #d9730d; }
@media (prefers-color-scheme: dark) { :root { --back: #12161d; --card: #1b212b; --text: #e8ecf2; --soft: #a3aebd;
  --line: #343d4b; --blue: #6ea2ff; --good: #7fd6a4; --good-back: #16301f; --bad: #ffb878; --bad-back: #3a2410;
  --skip: #f0a050; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 24px 16px 40px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0; } h2 { font-size: 17px; margin: 0 0 8px; }
p { margin: 6px 0; } .soft, .note, footer { color: var(--soft); } .note { font-size: 14px; }
.verdict { margin: 16px 0; padding: 12px 16px; border-radius: 8px; font-size: 18px; background: var(--good-back);
  color: var(--good); } .verdict.bad { background: var(--bad-back); color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px; margin: 16px 0; }
.tile, section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; }
.tile b { display: block; font-size: 26px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.grid2 { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; align-items: start; }
section { margin-bottom: 16px; min-width: 0; } .grid2 section { margin: 0; } .grid2 { margin-bottom: 16px; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
td, th { padding: 5px 8px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
td:first-child, th:first-child { text-align: left; } td.text { text-align: left; }
th { font-weight: 600; color: var(--soft); } th[scope=rowgroup] { padding-top: 14px; white-space: normal; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 4px 16px; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
footer { font-size: 14px; } @media (max-width: 760px) { .grid2 { grid-template-columns: minmax(0, 1fr); }
  h1 { font-size: 22px; } .verdict { font-size: 16px; } .wide { display: none; } section, .tile { padding: 12px; }
  table { font-size: 14px; } td, th { padding: 5px 4px; } }
"""


def html_page(title: str, parts: Iterable[str], style: str = '', script: str = '') -> str:
    """Return a whole page.

    title: plain text; parts: HTML of the body; style: more CSS; script: JavaScript
    """
    end = f'<script>{script}</script>' if script else ''
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Without it, a browser asks the server for an icon.
        '<link rel="icon" href="data:,">'
        f'<title>{escape(title)}</title><style>{_STYLE}{style}</style></head><body><main>\n'
        + '\n'.join(parts) + f'\n</main>{end}</body></html>\n')


def tiles(numbers: Iterable[tuple[str, str]]) -> str:
    """Return large numbers beside each other: (number, its name), both plain text."""
    return '<div class="tiles">' + ''.join(
        f'<div class="tile"><b>{escape(value)}</b><span class="soft">{escape(what)}</span></div>'
        for value, what in numbers) + '</div>'


def section(title: str, content: str, note: str = '') -> str:
    """Return a card. title: plain text; content, note: HTML"""
    below = f'<p class="note">{note}</p>' if note else ''
    return f'<section><h2>{escape(title)}</h2>{content}{below}</section>'
