# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from trt_perception.node.monitoring.frame_report import FrameReport, total_of
from trt_perception.node.monitoring.health import CameraReport, Condition, Level, assess, assess_together
from trt_perception.node.monitoring.liveness import Progress
from trt_perception.node.monitoring.processor_wait import ProcessorWait
from trt_perception.node.monitoring.stamps import RosTime, StampReport
from trt_perception.node.monitoring.statistics import Snapshot

CAMERA = CameraReport('/camera/image_raw', ('/camera',), (), 0.1, 0.0)
NOW_NS = 1_800_000_000 * 10**9
WELL = Condition(
    'active', '', CAMERA, {'received': 30.0, 'processed': 29.5}, '', 'fp32', 'fp32', progress=Progress(),
    stamps=StampReport(NOW_NS, 0.005), middleware='rmw_fastrtps_cpp')


def camera(**changes):
    return replace(WELL, camera=replace(CAMERA, **changes))


def test_levels_are_those_of_diagnostic_msgs():
    assert (Level.OK, Level.WARN, Level.ERROR) == (0, 1, 2)


def test_all_well():
    assert assess(WELL) == (Level.OK, 'processing 29.5 images/s')


def test_just_activated():
    assert assess(replace(WELL, recent={}, stamps=None))[0] == Level.OK


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


def test_a_busy_machine_is_named_if_images_are_lost():
    lost = {'received': 30.0, 'processed': 12.0, 'replaced': 17.0, 'stale': 1.0}
    busy = replace(WELL, recent=lost, processor=ProcessorWait(waited=0.66, used=0.33))
    level, reason = assess(busy)
    assert level == Level.WARN
    assert reason.startswith(
        'the machine is busy: the threads of this node wait for a processor 66% of their time, and 18.0 of 30.0 '
        'images/s are not processed: ')
    # A camera that is faster than the network is no fault, and a node that keeps up is none either.
    for changes in (
            {'processor': ProcessorWait(waited=0.1, used=0.9)}, {'processor': ProcessorWait(waited=0.5, used=0.95)},
            {'recent': {'received': 30.0, 'processed': 29.0, 'replaced': 1.0}}):
        assert assess(replace(busy, **{'recent': {**lost, 'stale': 0.0}, **changes}))[0] == Level.OK


def test_stamps_that_cannot_be_right_come_before_a_busy_machine():
    """Images without a stamp are too old on every machine. If none is stale, the busy machine loses them."""
    stale = {'received': 30.0, 'processed': 10.0, 'stale': 20.0}
    busy = replace(
        WELL, recent=stale, processor=ProcessorWait(waited=0.66, used=0.33), stamps=StampReport(0, 1.8e9))
    assert assess(busy)[1].startswith('image stamps are 0: ')
    assert assess(replace(busy, recent={**stale, 'stale': 0.0, 'replaced': 20.0}))[1].startswith('the machine is busy')
    assert assess(replace(busy, stamps=StampReport(NOW_NS, 0.2)))[1].startswith('the machine is busy')


def test_stamps_of_another_clock():
    level, reason = assess(replace(WELL, stamps=StampReport(NOW_NS, 20.0)))
    assert level == Level.WARN
    assert reason.startswith("image stamps are 20 s behind this machine's clock: ")
    assert assess(replace(WELL, stamps=StampReport(NOW_NS, 9.0)))[0] == Level.OK


def test_a_clock_that_stands_still_is_reported_without_images():
    level, reason = assess(replace(WELL, stamps=None, ros_time=RosTime(simulated=True, running=False)))
    assert level == Level.WARN
    assert reason.startswith('use_sim_time is true, but no node publishes /clock')


def progress(**changes):
    return replace(WELL, progress=replace(Progress(), **changes))


def test_a_frame_that_does_not_end_is_an_error_in_each_state():
    stuck = Progress(frame=7, stage='inference', in_work_s=15.2, waiting=300, expected_s=0.1, limit_s=5.0)
    for state in ('active', 'deactivating'):
        assert assess(replace(WELL, state=state, progress=stuck)) == (
            Level.ERROR, '300 images received, none processed for 15 s: inference has not returned')
    one = replace(stuck, waiting=1, stage='reading the image')
    assert assess(replace(WELL, progress=one))[1] == (
        '1 image received, none processed for 15 s: reading the image has not returned')
    assert assess(replace(WELL, progress=replace(stuck, in_work_s=4.9)))[0] == Level.OK
    # A model that is known to be slow.
    assert assess(replace(WELL, progress=replace(stuck, limit_s=30.0)))[0] == Level.OK


def test_only_stale_images_are_an_error():
    condition = replace(
        progress(fruitless_s=12.0, dropped={'stale': 300}), recent={'received': 30.0, 'stale': 30.0},
        stamps=StampReport(NOW_NS, 3.21))
    assert assess(condition) == (
        Level.ERROR,
        'no result for 12 s: all images are older than max_age_ms and dropped (they are 3.2 s old on arrival)')
    # The stamps are the reason.
    level, reason = assess(replace(condition, stamps=StampReport(0, 1.8e9)))
    assert level == Level.ERROR
    assert reason.startswith('no result for 12 s: all images are older than max_age_ms and dropped (image stamps are ')


def test_only_bad_images_are_an_error():
    condition = replace(
        progress(fruitless_s=8.0, dropped={'bad': 90, 'stale': 2}), recent={'received': 10.0, 'bad': 9.0},
        last_failure='step is 5 bytes')
    assert assess(condition) == (
        Level.ERROR, 'bad images: step is 5 bytes (no result for 8 s, all images are bad)')


@pytest.mark.parametrize('changes', [
    {'fruitless_s': 4.0, 'dropped': {'bad': 90}},  # not long enough
    {'fruitless_s': 60.0, 'dropped': {'bad': 2}},  # too few
])
def test_some_bad_images_are_a_warning(changes):
    condition = replace(progress(**changes), recent={'bad': 1.0}, last_failure='step is 5 bytes')
    assert assess(condition) == (Level.WARN, 'bad images: step is 5 bytes')


def test_bad_images_of_long_ago_are_no_error():
    assert assess(replace(progress(fruitless_s=90.0, dropped={'bad': 9}), recent={}))[0] == Level.OK


def test_images_that_nothing_takes_are_an_error():
    assert assess(progress(fruitless_s=31.0)) == (
        Level.ERROR, 'images are received, but none is processed for 31 s')
    # A frame is in work, of a slow model.
    assert assess(progress(fruitless_s=31.0, frame=3, in_work_s=4.0))[0] == Level.OK


def test_another_node_of_the_same_name():
    twin = 'another node is also named /detector'
    assert assess(replace(WELL, twin=twin)) == (Level.WARN, twin)
    assert assess(replace(WELL, state='inactive', twin=twin)) == (
        Level.WARN, f'inactive: no images are processed until the node is activated; {twin}')


def test_a_standstill_of_configure():
    condition = replace(WELL, state='configuring', activity='loading m.onnx', progress=None)
    assert assess(condition) == (Level.WARN, 'configuring: loading m.onnx')
    assert assess(replace(condition, unchanged_s=95.4)) == (
        Level.WARN, 'configuring: loading m.onnx, without progress for 95 s')


def test_another_topic_with_the_images_replaces_the_advice():
    condition = camera(publishers=(), silent_s=6.0, elsewhere='/camera/image_raw/compressed is published')
    assert assess(condition)[1] == (
        'no images for 6 s: no node publishes /camera/image_raw; /camera/image_raw/compressed is published')


@pytest.mark.parametrize('middleware, advice, not_advised', [
    ('rmw_fastrtps_cpp', 'config/fastdds_large_images.xml', 'CYCLONEDDS_URI'),
    ('rmw_fastrtps_dynamic_cpp', 'config/fastdds_large_images.xml', 'CYCLONEDDS_URI'),
    ('rmw_cyclonedds_cpp', 'CYCLONEDDS_URI', 'fastdds'),
    ('rmw_zenoh_cpp', 'rmw_zenohd', 'fastdds'),
    ('rmw_connextdds', 'DDS tuning', 'fastdds'),
    ('rmw_gurumdds_cpp', 'rmw_gurumdds_cpp', 'fastdds')])
def test_the_advice_is_for_the_middleware_in_use(middleware, advice, not_advised):
    for condition in (camera(silent_s=9.0), camera(missing_fraction=0.4)):
        reason = assess(replace(condition, middleware=middleware))[1]
        assert advice in reason and not_advised not in reason


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


def test_a_cpu_in_place_of_a_wanted_gpu():
    fallback = 'device gpu was requested, but OpenVINO runs the model on the CPU: set backend to tensorrt or auto'
    assert assess(replace(WELL, device_fallback=fallback)) == (Level.WARN, fallback)
    # What is missing now is said first.
    level, reason = assess(replace(camera(publishers=(), silent_s=5.0), device_fallback=fallback))
    assert level == Level.WARN and reason.startswith('no images for 5 s')


# Several cameras

OK = (Level.OK, 'processing 15.0 images/s')
TOTAL = Snapshot({}, {'processed': 30.04}, {})


def test_all_cameras_are_well():
    assert assess_together(['/front', '/rear'], [OK, OK], TOTAL) == (
        Level.OK, 'processing 30.0 images/s of 2 cameras')


@pytest.mark.parametrize('found, expected', [
    ([OK, (Level.WARN, 'no images')], (Level.WARN, '/rear: no images')),
    ([(Level.WARN, 'a'), (Level.ERROR, 'b')], (Level.ERROR, '/rear: b (and 1 more of 2 cameras)')),
    ([(Level.ERROR, 'a'), (Level.ERROR, 'b')], (Level.ERROR, '/front: a (and 1 more of 2 cameras)'))])
def test_the_worst_camera_is_named(found, expected):
    assert assess_together(['/front', '/rear'], found, TOTAL) == expected


def test_an_idle_camera_is_well_whatever_its_last_images_were():
    idle = replace(WELL, camera=None, idle=True, recent={'bad': 3.0, 'failed': 1.0}, last_failure='cut off')
    said = (Level.OK, 'idle: no output has a subscriber, and lazy is true')
    assert assess(idle) == said
    assert assess_together(['/front', '/rear'], [said, said], TOTAL) == said
    assert assess_together(['/front', '/rear'], [said, OK], TOTAL)[1] == 'processing 30.0 images/s of 2 cameras'
    # What is wrong with the node still counts.
    assert assess(replace(idle, precision_effective='int8'))[0] == Level.WARN


def test_the_sums_of_all_cameras():
    def report(**counts):
        snapshot = Snapshot({'infer': (1.0, 2.0, 3.0)}, {'received': 1.5}, counts)
        return FrameReport(None, snapshot, '', None, None, RosTime())

    total = total_of([report(received=3, bad=1), report(received=4, processed=2)])
    assert total == Snapshot({}, {'received': 3.0}, {'received': 7, 'bad': 1, 'processed': 2})
