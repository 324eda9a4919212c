# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo's report has beside the common style of html_page.py: video and plots."""

STYLE = """
video, .sheet { display: block; width: 100%; max-height: 80vh; border-radius: 8px; background: #000; }
.sheet { height: auto; max-height: none; }
.numbers { grid-template-columns: minmax(0, 2fr) minmax(0, 1fr); } .together { white-space: nowrap; }
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
@media (max-width: 760px) { .numbers { grid-template-columns: minmax(0, 1fr); } }
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
