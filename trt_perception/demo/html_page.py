# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Style and script of the demo's report."""

STYLE = """
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
  color: var(--good); } .verdict.slow { background: var(--bad-back); color: var(--bad); }
video, .sheet { display: block; width: 100%; max-height: 80vh; border-radius: 8px; background: #000; }
.sheet { height: auto; max-height: none; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px; margin: 16px 0; }
.tile, section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; }
.tile b { display: block; font-size: 26px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.grid2 { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; align-items: start; }
section { margin-bottom: 16px; min-width: 0; } .grid2 section { margin: 0; } .grid2 { margin-bottom: 16px; }
.numbers { grid-template-columns: minmax(0, 2fr) minmax(0, 1fr); } .together { white-space: nowrap; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
td, th { padding: 5px 8px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
td:first-child, th:first-child { text-align: left; } td.text { text-align: left; }
th { font-weight: 600; color: var(--soft); } th[scope=rowgroup] { padding-top: 14px; white-space: normal; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 4px 16px; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; } svg text { font: 14px system-ui, sans-serif; fill: var(--text); }
svg .small { font-size: 13px; fill: var(--soft); paint-order: stroke; stroke: var(--card);
  stroke-width: 4px; } svg path { fill: none; } svg .grid { stroke: var(--line); }
svg .axis { stroke: var(--soft); } svg .bars { fill: var(--blue); } svg .whisker { stroke: var(--text); }
svg .dots { stroke: var(--blue); stroke-width: 4; stroke-linecap: round; } svg .skips { stroke: var(--skip); }
svg .limit { stroke: var(--soft); stroke-dasharray: 5 4; } svg .mark { stroke: var(--text); stroke-dasharray: 3 3; }
#playhead { stroke: var(--bad); stroke-width: 1.5; } #timeline { fill: transparent; cursor: pointer; }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 5px; background: var(--blue); }
.key.skip { width: 3px; height: 12px; border-radius: 0; background: var(--skip); vertical-align: -2px; }
.key.line { width: 18px; height: 0; border-radius: 0; background: none; border-top: 2px dashed var(--soft);
  vertical-align: 4px; }
footer { font-size: 14px; } @media (max-width: 760px) { .grid2, .numbers { grid-template-columns: minmax(0, 1fr); }
  h1 { font-size: 22px; } .verdict { font-size: 16px; } .wide { display: none; } section, .tile { padding: 12px; }
  table { font-size: 14px; } td, th { padding: 5px 4px; } }
"""

# The line in the timeline follows the video, and a click there moves the video.
SCRIPT = """
const video = document.querySelector('video'), area = document.getElementById('timeline');
if (video && area) {
  const line = document.getElementById('playhead'), seconds = Number(area.dataset.seconds);
  const width = Number(area.getAttribute('width'));
  const move = () => {
    line.setAttribute('transform', `translate(${Math.min(1, video.currentTime / seconds) * width} 0)`);
    if (!video.paused) requestAnimationFrame(move);
  };
  for (const name of ['play', 'seeked', 'timeupdate']) video.addEventListener(name, move);
  area.addEventListener('click', (event) => {
    const box = area.getBoundingClientRect();
    video.currentTime = (event.clientX - box.left) / box.width * seconds;
  });
}
"""
