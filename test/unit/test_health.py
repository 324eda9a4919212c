# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from trt_perception.node.health import CameraReport, Condition, Level, assess

CAMERA = CameraReport('/camera/image_raw', ('/camera',), (), 0.1, 0.0)
WELL = Condition('active', '', CAMERA, {'received': 30.0, 'processed': 29.5}, '', 'fp32', 'fp32', 5.0)


def camera(**changes):
    return replace(WELL, camera=replace(CAMERA, **changes))


def test_levels_are_those_of_diagnostic_msgs():
    assert (Level.OK, Level.WARN, Level.ERROR) == (0, 1, 2)


def test_all_well():
    assert assess(WELL) == (Level.OK, 'processing 29.5 images/s')


def test_just_activated():
    assert assess(replace(WELL, recent={}, age_p50_ms=None))[0] == Level.OK


@pytest.mark.parametrize('state', ['unconfigured', 'inactive', 'finalized'])
def test_not_active(state):
    level, reason = assess(replace(WELL, state=state, camera=None))
    assert level == Level.WARN
    assert reason == f'{state}: no images are processed until the node is activated'


def test_a_failed_transition_comes_first():
    condition = replace(WELL, state='unconfigured', error='configure failed: no model file at x.onnx', camera=None)
    assert assess(condition) == (Level.ERROR, 'configure failed: no model file at x.onnx')


def test_silence_without_a_publisher_names_the_topic():
    level, reason = assess(camera(publishers=(), silent_s=5.0))
    assert level == Level.WARN
    assert reason.startswith('no images for 5 s: no node publishes /camera/image_raw; check the camera')


def test_silence_with_publishers_names_them_and_hints_at_large_images():
    level, reason = assess(camera(publishers=('/a', '/ns/b'), silent_s=61.0))
    assert level == Level.WARN
    assert reason.startswith('no images for 61 s on /camera/image_raw, published by /a, /ns/b: ')
    assert 'config/fastdds_large_images.xml' in reason


def test_a_short_pause_is_no_silence():
    assert assess(camera(silent_s=4.9, publishers=()))[0] == Level.OK


def test_gaps():
    level, reason = assess(camera(missing_fraction=0.42))
    assert level == Level.WARN
    assert reason.startswith('according to the stamps, about 42% of the frames of /camera/image_raw do not arrive')
    assert 'config/fastdds_large_images.xml' in reason
    assert assess(camera(missing_fraction=0.1))[0] == Level.OK


def test_an_incompatible_publisher_is_an_error_also_in_silence():
    why = '/camera offers reliability best_effort on /image, but this node requests reliable'
    level, reason = assess(camera(incompatible=(why,), silent_s=30.0))
    assert (level, reason) == (Level.ERROR, why)


def test_failing_inference_is_an_error():
    level, reason = assess(replace(WELL, recent={'failed': 0.1, 'bad': 1.0}, last_failure='out of memory'))
    assert (level, reason) == (Level.ERROR, 'inference fails: out of memory')


def test_bad_images():
    condition = replace(WELL, recent={'processed': 20.0, 'bad': 0.2}, last_failure='step is 5 bytes')
    assert assess(condition) == (Level.WARN, 'bad images: step is 5 bytes')


def test_damaged_images():
    damaged = replace(WELL, recent={'processed': 20.0, 'damaged': 0.2}, last_failure='JPEG image of 4x4 pixels: ...')
    assert assess(damaged) == (Level.WARN, 'damaged images are processed: JPEG image of 4x4 pixels: ...')
    # With damaged_images: drop they are bad, and named once.
    dropped = replace(damaged, recent={'processed': 20.0, 'damaged': 0.2, 'bad': 0.2})
    assert assess(dropped) == (Level.WARN, 'bad images: JPEG image of 4x4 pixels: ...')


def test_unusual_images():
    assert assess(replace(WELL, image_note='images are nearly black')) == (Level.WARN, 'images are nearly black')


def test_bad_images_are_told_before_gaps():
    """Bad images are counted, gaps only estimated from stamps: manually published images look like gaps."""
    condition = replace(
        WELL, camera=replace(CAMERA, missing_fraction=0.14), recent={'bad': 1.0}, last_failure='step is 5 bytes')
    assert assess(condition) == (Level.WARN, 'bad images: step is 5 bytes')


def test_no_gaps_in_silence():
    """Earlier frames do not count."""
    assert assess(camera(silent_s=9.0, missing_fraction=0.9))[1].startswith('no images for 9 s')


def test_stale_images():
    assert assess(replace(WELL, recent={'stale': 3.25})) == (
        Level.WARN, '3.2 images/s are older than max_age_ms and dropped')


@pytest.mark.parametrize('age', [-20_000.0, 20_000.0])
def test_stamps_of_another_clock(age):
    level, reason = assess(replace(WELL, age_p50_ms=age))
    assert level == Level.WARN
    assert reason.startswith(f'image stamps are {age / 1e3:.0f} s from the clock: ')
    assert 'use_sim_time' in reason
    assert assess(replace(WELL, age_p50_ms=9_000.0))[0] == Level.OK


def test_another_precision_than_asked_for():
    level, reason = assess(replace(WELL, precision_wanted='fp16'))
    assert (level, reason) == (Level.WARN, 'precision fp16 was requested, but the network runs in fp32')
    assert assess(replace(WELL, precision_effective=''))[0] == Level.OK


def test_the_first_of_the_gravest_findings_is_told():
    condition = replace(
        WELL, camera=replace(CAMERA, missing_fraction=0.5), recent={'stale': 1.0}, precision_wanted='int8')
    assert 'do not arrive' in assess(condition)[1]
    condition = replace(condition, recent={'failed': 1.0}, last_failure='no memory')
    assert assess(condition) == (Level.ERROR, 'inference fails: no memory')


def test_every_reason_is_one_line():
    for condition in (WELL, camera(silent_s=9.0), camera(missing_fraction=0.9), replace(WELL, state='inactive')):
        assert '\n' not in assess(condition)[1]


def test_what_is_there_instead_replaces_the_advice():
    there = '/camera/image_raw/compressed is there: image_transport:=compressed'
    assert assess(camera(publishers=(), silent_s=5.0, elsewhere=there)) == (
        Level.WARN, f'no images for 5 s: no node publishes /camera/image_raw; {there}')
