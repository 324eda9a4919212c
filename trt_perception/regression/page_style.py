# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What this page has beside the common style of html_page.py. Orange is A, and blue is B, for all kinds of eyes."""

STYLE = """
:root { --a: #c85a00; --b: #0068b8; --unchanged: #9aa5b5; --shifted: #8e6bbf; }
@media (prefers-color-scheme: dark) { :root { --a: #ff9b3d; --b: #5db4ff; --unchanged: #6b778a; --shifted: #b699e0; } }
h1 { overflow-wrap: anywhere; } h1 .a, h1 .b { color: #fff; border-radius: 6px; padding: 0 8px; }
h1 .a { background: #c85a00; } h1 .b { background: #0068b8; }
.verdict { overflow-wrap: anywhere; } .verdict.plain { background: var(--card); color: var(--text);
  border: 1px solid var(--line); } ul { margin: 4px 0; padding-left: 20px; } li { overflow-wrap: anywhere; }
.classes { font-size: 14px; } .classes td, .classes th { padding: 5px 6px; }
td:first-child { white-space: normal; overflow-wrap: anywhere;
  min-width: 110px; }
.names :is(td, th):nth-child(2) { text-align: left; white-space: normal; overflow-wrap: anywhere;
  min-width: 110px; }
.bar { display: flex; width: 76px; height: 12px; border-radius: 3px; overflow: hidden; background: var(--line); }
.bar i, .key { display: inline-block; } .key { width: 12px; height: 12px; border-radius: 3px; vertical-align: -1px; }
i.same, .key.same { background: var(--unchanged); } i.moved, .key.moved { background: var(--shifted); }
i.a, .key.a { background: var(--a); } i.b, .key.b { background: var(--b); }
.made td { white-space: normal; text-align: left; overflow-wrap: anywhere; width: 42%; } .made td:first-child {
  white-space: nowrap; width: 16%; color: var(--soft); }
.made th { text-align: left; } .made tr.differs td { font-weight: 600; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(320px, 100%), 1fr)); gap: 16px; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 8px; overflow: hidden; min-width: 0; }
figure svg { display: block; width: 100%; aspect-ratio: 4 / 3; background: #20242b; }
figcaption { padding: 8px 12px; font-size: 14px; } figcaption ul { list-style: none; padding: 0; }
.where { color: var(--soft); overflow-wrap: anywhere; } b.lost { color: var(--a); } b.gained { color: var(--b); }
td.exceeded { color: var(--bad); font-weight: 600; } b.changed, b.moved, b.score { color: var(--shifted); }
svg rect { fill: none; } svg rect.empty { fill: #3a404a; }
svg rect.edge { stroke: #000; stroke-opacity: 0.55; } svg rect.same { stroke: #fff; stroke-opacity: 0.6;
  stroke-dasharray: 6 4; } svg rect.a { stroke: #ff8a1f; } svg rect.b { stroke: #39a5ff; }
svg text { font-family: system-ui, sans-serif; font-weight: 600; paint-order: stroke; stroke: #000;
  stroke-width: 0.22em; stroke-linejoin: round; } svg text.a { fill: #ffa04a; } svg text.b { fill: #7cc3ff; }
"""
