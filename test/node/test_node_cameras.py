# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Several cameras in one node: names, results, counts for each camera, turns under overload."""

import threading
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CompressedImage, Image
from support import harness_images as images
from support.frame_sum import counts_at_rest
from support.harness_driver import LATCHED, Collector, boxes_of, wait_until
from support.node_cameras import COUNTS, Camera
from vision_msgs.msg import Detection2DArray, LabelInfo

BOX = {'front': (64, 48, 256, 192), 'rear': (20, 30, 120, 130), 'left': (100, 100, 300, 200)}


@pytest.fixture
def cameras():
    """Return a function that makes cameras, which are closed at the end."""
    made = []

    def make(node, *topics, **options):
        made.extend(Camera(node, topic, **options) for topic in topics)
        return made[-len(topics):]

    yield make
    for camera in made:
        camera.close()


def go_on(several):
    """Publish an image of each camera."""
    for camera in several:
        camera.publish(camera.message(BOX['front']))


def test_each_camera_has_its_results_and_counts(node, models, cameras):
    node.bring_to('active', image_topics=['front/image_raw', 'rear/image_raw', 'left/image'])
    several = cameras(node, 'front/image_raw', 'rear/image_raw', 'left/image')
    for camera in several:
        camera.connect()
    for camera, (name, box), times in zip(several, BOX.items(), (1, 2, 3)):
        for _ in range(times):
            message = camera.message(box)
            result = camera.answer_to(message)
            assert result.header == message.header
            assert boxes_of(result)['red'][0] == pytest.approx(box, abs=1.01), name
    for camera, times in zip(several, (1, 2, 3)):
        counts = camera.counts(lambda c: c['received'] == sum(c[name] for name in COUNTS), 'all counted')
        assert counts['processed'] >= times
        wait_until(lambda c=camera, n=counts: c.results.count() == n['processed'], 'all results')
        _, values = camera.diagnosis()
        assert values['image_topic'] == camera.topic
        labels = Collector(node.driver, LabelInfo, f'{camera.name}/label_info', LATCHED)
        assert [c.class_name for c in labels.wait().class_map] == ['red', 'green', 'blue']
        labels.close()
    _, values = node.diagnosis()
    assert int(values['processed']) == sum(camera.results.count() for camera in several)
    assert node.driver.node.count_publishers(node.topic('detections')) == 0
    # Each camera goes on: after five seconds without an image it would be silent.
    status, _ = node.diagnosis(lambda s, _: go_on(several) or s.level == DiagnosticStatus.OK, 'all is well')
    assert status.message.endswith(' images/s of 3 cameras')
    for camera in several:
        camera.diagnosis(lambda s, _: go_on(several) or s.level == DiagnosticStatus.OK, 'all is well')


def test_each_camera_has_ids_of_its_own(node, cameras):
    # Whatever the time between two images.
    node.bring_to('active', image_topics=['front/image', 'rear/image'], tracking=True, tracking_buffer=3600.0)
    front, rear = cameras(node, 'front/image', 'rear/image')
    for camera in (front, rear):
        camera.connect()

    def ids(camera, box):
        message = camera.message(box, 'the same frame')
        since = camera.results.count()

        def answered():
            camera.publish(message)
            return any(m.header.stamp == message.header.stamp for m in camera.results.messages[since:])

        wait_until(answered, f'the result; the node said:\n{node.process.tail()}')
        found = [m for m in camera.results.messages[since:] if m.header.stamp == message.header.stamp]
        return [detection.id for detection in found[-1].detections]

    # The objects are at different places: with one tracker for both, none would be found again.
    ids(front, BOX['front']), ids(rear, BOX['rear'])
    for _ in range(3):
        assert ids(front, BOX['front']) == ids(rear, BOX['rear']) == ['1']


def test_a_camera_with_bad_images_disturbs_no_other(node, cameras):
    node.bring_to('active', image_topics=['front/image_raw', 'rear/image_raw'])
    front, rear = cameras(node, 'front/image_raw', 'rear/image_raw')
    front.connect()
    rear.connect()
    message = front.message(BOX['front'])
    message.step = 1

    def go_on_badly():
        front.publish(message)
        rear.publish(rear.message(BOX['rear']))

    # Both go on: the reason is about the last seconds.
    status, _ = node.diagnosis(lambda s, _: go_on_badly() or ': bad images: ' in s.message, 'the reason')
    assert status.message.startswith(f'{front.name}: bad images: ')
    assert set(boxes_of(rear.answer_to(rear.message(BOX['rear'])))) == {'red'}
    _, values = rear.diagnosis(lambda s, _: go_on_badly() or s.level == DiagnosticStatus.OK, 'all is well')
    assert values['bad'] == '0'


def test_names_of_topics(node, cameras):
    """Topics in one folder, a compressed one, and one that is remapped."""
    node.bring_to('active', image_topics=['a', 'b/compressed', 'other/c'])
    [first] = cameras(node, 'a', outputs=node.topic('a'))
    [second] = cameras(node, 'b/compressed', kind=CompressedImage, outputs=node.topic('b'))
    [third] = cameras(node, 'other/c')
    for camera in (first, second, third):
        camera.connect()
    assert set(boxes_of(first.answer_to(first.message(BOX['front'])))) == {'red'}
    jpeg = images.compressed(images.picture(320, 240, {'red': BOX['rear']}), images.header('', 7), 'jpeg')
    assert boxes_of(second.answer_to(jpeg))['red'][0] == pytest.approx(BOX['rear'], abs=2.01)
    assert set(boxes_of(third.answer_to(third.message(BOX['front'])))) == {'red'}


@pytest.mark.parametrize('topics, reason', [
    (['a', 'a'], 'expected each topic once'),
    (['a', 'a/compressed'], 'is there raw and compressed'),
    (['a', 'front camera'], "image_topics names 'front camera': expected the name of a topic"),
    ([''], 'expected the name of at least one topic'),
])
def test_wrong_topics(node, topics, reason):
    node.bring_to('unconfigured')
    accepted, said = node.set_parameters(image_topics=topics)
    if accepted:
        mark = node.process.mark()
        assert not node.change_state('configure')
        said = node.process.wait_for_line('configure failed', mark)
        node.set_parameters(image_topics=['image'])
    assert reason in said


def publish_until(done, camera, rate_hz):
    """Publish images at this rate; each has its number as its stamp."""
    message = camera.message(BOX['front'])
    while not done.wait(1 / rate_hz):
        camera.sent += 1
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(camera.sent, 10**9)
        camera.publisher.publish(message)


@pytest.mark.parametrize('concurrent_inferences', [1, 2])
def test_a_fast_camera_does_not_starve_a_slow_one(node, models, cameras, concurrent_inferences):
    """Under overload each camera gets its turn, whatever its rate, and the results of each are in order."""
    # An inference takes much longer than the period of the faster cameras: images of either would fill all the time.
    node.bring_to(
        'active', model_file=models(busy=40), image_topics=['fast/image', 'middle/image', 'slow/image'],
        concurrent_inferences=concurrent_inferences)
    several = fast, middle, slow = cameras(node, 'fast/image', 'middle/image', 'slow/image')
    for camera in several:
        camera.connect()
    done = threading.Event()
    threads = [
        threading.Thread(target=publish_until, args=(done, camera, rate))
        for camera, rate in ((fast, 60), (middle, 12))]
    for thread in threads:
        thread.start()
    try:
        for _ in range(6):
            # Without turns, the others would always be first.
            slow.answer_to(slow.message(BOX['front']))
    finally:
        done.set()
        for thread in threads:
            thread.join()
    processed = {}
    for camera in several:
        counts = camera.counts(lambda c: c['received'] == sum(c[name] for name in COUNTS), 'all counted')
        processed[camera] = counts['processed']
        print(camera.name, camera.sent, counts)
        # sent = processed + replaced + stale + bad + failed + lost in transport
        assert camera.sent - counts['received'] >= 0
        wait_until(lambda c=camera: c.results.count() == processed[c], 'all results')
    for camera in (fast, middle):
        numbers = [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in camera.results.messages]
        assert numbers == sorted(set(numbers))
    # The newest image wins: those between were replaced.
    numbers = [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in fast.results.messages]
    assert np.median(np.diff(numbers)) > 1
    # Both want more than their share, and get about the same, although one has five times as many images. On a busy
    # machine this test itself may send too few of the other.
    assert processed[fast] <= 2 * processed[middle] + 3


def test_frames_of_several_cameras_run_as_one_batch(node, models, cameras, tmp_path):
    from support.tiny_models import dynamic_color_detector

    model = dynamic_color_detector(
        tmp_path / 'dynamic.onnx', {'names': {0: 'red', 1: 'green', 2: 'blue'}, 'task': 'detect', 'imgsz': [64, 64]})
    node.bring_to(
        'active', model_file=str(model), image_topics=['front/image', 'rear/image'], max_batch=4, batch_wait_ms=1000,
        score_threshold=0.9, image_reliability='reliable')
    front, rear = cameras(node, 'front/image', 'rear/image')
    front.connect()
    rear.connect()
    _, values = node.diagnosis()
    assert values['max_batch'] == '2'
    since = front.results.count(), rear.results.count()
    pictures = np.zeros((2, 64, 64, 3), np.uint8)
    pictures[0, 8:16, 16:24] = images.BGR['red']
    pictures[1, 40:48, 32:40] = images.BGR['blue']
    for camera, picture in zip((front, rear), pictures):
        camera.publish(images.image(picture, images.header('', node.driver.now_ns())))
    assert boxes_of(front.results.wait(since=since[0]))['red'][0] == pytest.approx((16, 8, 24, 16), abs=0.01)
    assert boxes_of(rear.results.wait(since=since[1]))['blue'][0] == pytest.approx((32, 40, 40, 48), abs=0.01)


def test_the_network_sees_a_part_of_each_image_turned(node, cameras):
    """Results are in the coordinates of the image as it is published."""
    node.bring_to(
        'active', image_topics=['front/image', 'rear/image'], roi=[0, 0, 200, 0, 100, 0, 0, 200], rotate=[90, 180],
        ignore_areas=['rear/image: 0,100 320,100 320,240 0,240'])
    front, rear = cameras(node, 'front/image', 'rear/image')
    front.connect()
    rear.connect()
    boxes = {'red': (20, 30, 120, 90), 'green': (140, 20, 180, 60), 'blue': (210, 130, 300, 180)}
    bgr = images.picture(320, 240, boxes)
    results = {
        camera: boxes_of(camera.answer_to(images.image(bgr, images.header('', node.driver.now_ns()))))
        for camera in (front, rear)}
    # Blue is right of front's part. Red is partly left of rear's part, and blue is in its ignored area.
    assert set(results[front]) == {'red', 'green'}
    assert set(results[rear]) == {'red', 'green'}
    for name in ('red', 'green'):
        assert results[front][name][0] == pytest.approx(boxes[name], abs=0.6)
    assert results[rear]['green'][0] == pytest.approx(boxes['green'], abs=0.6)
    assert results[rear]['red'][0] == pytest.approx((100, 30, 120, 90), abs=0.6)


def test_a_part_outside_the_image_is_a_bad_image(node):
    node.bring_to('active', roi=[400, 0, 0, 0], image_reliability='reliable')
    camera = node.camera()
    camera.publish(images.image(images.picture(320, 240, {}), images.header('', 7)))
    status, _ = node.diagnosis(lambda _, v: v['bad'] == '1', 'the bad image')
    assert 'roi begins at 400, 0, outside the image of 320x240 pixels' in status.message


# Only what is needed


def test_lazy_subscribes_only_while_someone_listens(node, cameras):
    node.bring_to(
        'active', image_topics=['front/image', 'rear/image'], lazy=True, publish_debug_image=True,
        image_reliability='reliable')
    front, rear = cameras(node, 'front/image', 'rear/image')
    # The test's subscription to the results of each is there.
    for camera in (front, rear):
        camera.connect()
        assert set(boxes_of(camera.answer_to(camera.message(BOX['front'])))) == {'red'}
    before = rear.counts()
    rear.results.close()
    wait_until(lambda: rear.publisher.get_subscription_count() == 0, 'rear is not subscribed any more')
    for _ in range(5):
        rear.publish(rear.message(BOX['rear']))
    status, values = rear.diagnosis(lambda s, _: s.message.startswith('idle'), 'idle')
    assert (status.level, values['received']) == (DiagnosticStatus.OK, str(before['received']))
    assert 'image_topic' not in values
    # The other camera goes on.
    front.answer_to(front.message(BOX['front']))
    # Another output counts too.
    debug = Collector(node.driver, Image, f'{rear.name}/debug_image')
    rear.connect()
    rear.publish(rear.message(BOX['rear']))
    debug.wait()
    rear.counts(lambda c: c['processed'] > before['processed'], 'the image is processed')
    rear.diagnosis(lambda s, _: go_on([rear]) or s.level == DiagnosticStatus.OK, 'all is well')
    # Without debug images, its subscriber needs no inference.
    assert node.set_parameters(publish_debug_image=False)[0]
    wait_until(lambda: rear.publisher.get_subscription_count() == 0, 'rear is not subscribed any more')
    debug.close()
    rear.results = Collector(node.driver, Detection2DArray, f'{rear.name}/detections')
    rear.connect()
    rear.answer_to(rear.message(BOX['rear']))


def test_lazy_and_the_states_of_the_node(node):
    """One camera; its subscription also ends with deactivate."""
    results = node.detections
    node.bring_to('active', lazy=True)
    camera = node.camera()
    message = images.image(images.picture(320, 240, {'red': BOX['front']}), images.header('', 7))
    node.answer_to(camera, message)
    assert results.count() >= 1
    assert node.change_state('deactivate')
    wait_until(lambda: camera.get_subscription_count() == 0, 'no subscription while inactive')
    assert node.change_state('activate')
    wait_until(lambda: camera.get_subscription_count() == 1, 'subscribed again')
    node.answer_to(camera, message)


def test_max_rate_hz_skips_images(node):
    node.bring_to('active', max_rate_hz=0.5)
    camera = node.camera()
    started = time.monotonic()

    def publish():
        camera.publish(images.image(
            images.picture(320, 240, {'red': BOX['front']}), images.header('many', node.driver.now_ns())))

    node.diagnosis(lambda _, v: publish() or int(v['skipped']) > 10, 'skipped images')
    counts = counts_at_rest(node)
    seconds = time.monotonic() - started
    assert 1 <= counts['processed'] <= 1 + seconds * 0.5
    assert counts['skipped'] > counts['processed']
    # A new limit takes effect at once, and 0 lets all images through.
    assert node.set_parameters(max_rate_hz=0.0)[0]
    for _ in range(3):
        node.answer_to(camera, images.image(
            images.picture(320, 240, {'red': BOX['front']}), images.header('all', node.driver.now_ns())))
    _, values = node.diagnosis()
    assert values['skipped'] == str(counts['skipped'])
