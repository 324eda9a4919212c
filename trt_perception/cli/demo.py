# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Detect objects in a video over DDS: node, player and consumer are separate processes.

The demo fetches the model and the video, writes the video as a rosbag2, and starts perception_node. It configures and
activates the node through its lifecycle services. It plays the bag in real time and stamps each image when it is sent.
It receives the results like any other ROS node. Then the folder --output contains

  report.html         one page with the video, plots and the table; open it in a browser
  detections.jsonl    one JSON object for each frame processed; timings_ms: from stamp to arrival at the consumer
  annotated.webm      every frame with its results; a skipped frame has the last results, dimmed
  contact_sheet.png   nine of these frames
  report.txt          whether the machine is fast enough, and the printed table: frames, classes, times
  node.log            the log of the node
  video_bag           the rosbag2, reused while the video is the same

The processes use a free ROS_DOMAIN_ID that differs from yours, so the demo does not disturb a running robot.
--domain-id chooses one. Discovery stays on this machine (ROS 2 Iron and later). To watch, use the printed
ROS_DOMAIN_ID:

  ROS_DOMAIN_ID=... ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ros2 topic echo /detections
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import reason
from .files import Outputs
from .model_arguments import add_score_argument
from .numbers import above_zero, duration, whole
from .parameter_options import add_parameter
from .play import HIGHEST_DOMAIN


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    parser.add_argument(
        '--output', type=_folder, default=Path('demo_output'), metavar='DIR',
        help='folder for the files (default: %(default)s)')
    parser.add_argument('--video', default='bikes', help='a video file or a catalogue name (default: %(default)s)')
    parser.add_argument(
        '--model', default='nanodet-g', help='an ONNX file or a catalogue name (default: %(default)s)')
    add_parameter(parser, '--labels', 'labels_file', metavar='FILE')
    add_score_argument(parser)
    add_parameter(parser, '--tracking', 'tracking')
    parser.add_argument(
        '--rate', type=above_zero, default=1.0, metavar='R', help='speed of playing (default: %(default)s, real time)')
    parser.add_argument(
        '--seconds', type=duration, default=20.0, metavar='S',
        help='use only the first S seconds of the video, because images in the bag are not compressed; 0 uses all '
             '(default: %(default)g)')
    parser.add_argument(
        '--domain-id', type=whole(0, HIGHEST_DOMAIN), metavar='ID',
        help='ROS_DOMAIN_ID of the demo (default: a free one)')


def run(options: argparse.Namespace) -> int:
    """Run the demo; 0 if everything worked."""
    for module in ('cv2', 'yaml', 'rosbags', 'rclpy', 'sensor_msgs', 'diagnostic_msgs', 'vision_msgs'):
        require(module)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminated)
    from ..demo.demo import BAG, STALE, DemoOptions, run_demo
    from ..demo.errors import DemoError

    outputs = Outputs(options.video, options.model, options.labels)
    for name in (*STALE, BAG):
        outputs.fixed('--output', options.output / name)

    try:
        run_demo(DemoOptions(
            output=options.output, video=options.video, model=options.model, labels=options.labels,
            score=options.score, rate=options.rate, seconds=options.seconds, domain_id=options.domain_id,
            tracking=options.tracking))
    except BrokenPipeError:
        raise
    except OSError as error:
        # A full disk, or a folder without write permission: the demo writes only below --output.
        raise DemoError(f'{error.filename or options.output}: {reason(error)}') from error
    return 0


def _terminated(number: int, _: Any) -> None:
    # An exception, so that the context managers end the child processes.
    raise SystemExit(128 + number)


def _folder(text: str) -> Path:
    # Path('') is the working folder; the demo would remove files there.
    if not text:
        raise argparse.ArgumentTypeError('expected the name of a folder')
    return Path(text)
