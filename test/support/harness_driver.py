# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Drives a node from this process, through its services and topics over DDS."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState, GetAvailableTransitions, GetState
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from vision_msgs.msg import Classification, Detection2DArray

from support.frame_sum import OUTCOMES, settled
from support.harness_process import NodeProcess

# Longest wait for an event that should come at once. Only a failing test waits this long.
TIMEOUT = 600.0
# A label that changes nothing.
_NO_TRANSITION = 'none'
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_INPUTS = ('image', 'image/compressed')
_OUTPUTS = (
    'detections', 'classifications', 'label_info', 'vision_info', 'debug_image', 'debug_image/compressed',
    'image_annotations', 'masks', 'mask_instances')
_NUMBERS = itertools.count(1)
# The subscription is best effort: an image may be lost if a process has no processor for a while. It is sent once more
# if it has no outcome for this long and the node has no image in work.
_RESEND_S = 5.0


def wait_until(
    condition: Callable[[], Any], what: str | Callable[[], str], timeout: float = TIMEOUT,
) -> Any:
    """Poll `condition` until it is true, and return its value; for conditions without a notification."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f'not within {timeout:.0f} s: {what() if callable(what) else what}')
        time.sleep(0.01)
    return value


class Collector:
    """Keeps every message of a topic.

    times: when each arrived here, of the monotonic clock; published: when the other side published it, in nanoseconds
    of the system's clock; numbers: its number, with which the publisher counts its messages from 1 on. A process
    without a processor for a while gets many messages at once, and may not get all.
    """

    def __init__(self, driver: Driver, kind: Any, topic: str, qos: Any = 100) -> None:
        self._driver = driver
        self._changed = threading.Condition()
        self.messages: list[Any] = []
        self.times: list[float] = []
        self.published: list[int] = []
        self.numbers: list[int] = []
        self.subscription = driver.node.create_subscription(kind, topic, self._add, qos)
        driver.executor.wake()

    def _add(self, message: Any, info: Any) -> None:
        with self._changed:
            self.messages.append(message)
            self.times.append(time.monotonic())
            self.published.append(int(info['source_timestamp']))
            # rclpy of Humble does not tell it.
            self.numbers.append(info.get('publication_sequence_number') or len(self.messages))
            self._changed.notify_all()

    def wait(
        self, condition: Callable[[Any], bool] = lambda _: True, since: int = 0,
        timeout: float = TIMEOUT, what: str = 'a message',
    ) -> Any:
        """Return the first message from number `since` on that meets the condition."""
        seen = since

        def find() -> bool:
            nonlocal seen
            # Each message is checked only once: a condition may count its calls.
            while seen < len(self.messages):
                seen += 1
                if condition(self.messages[seen - 1]):
                    return True
            return False

        with self._changed:
            if not self._changed.wait_for(find, timeout):
                last = self.messages[-1] if self.messages else None
                raise AssertionError(
                    f'not within {timeout:.0f} s on {self.subscription.topic_name}: {what}; '
                    f'{len(self.messages)} messages, the last one: {last}')
            return self.messages[seen - 1]

    def all_of(self, count: int, since: int) -> list[Any]:
        """Wait for the last of all messages of a publisher, and return those that came, from number `since` on.

        count: so many it must have published until now. A reliable publisher sends its last messages again, but an
        earlier one is lost if this process had no processor for long.
        """
        with self._changed:
            came = self._changed.wait_for(
                lambda: not count or (len(self.numbers) > since and self.numbers[-1] >= count), TIMEOUT)
            numbers = self.numbers[since:]
            assert came and numbers == sorted(set(numbers)) and numbers[-1:] == [count][:count], (
                f'{self.subscription.topic_name}: expected {count} messages, found their numbers {numbers}')
            return self.messages[since:]

    def count(self) -> int:
        """Return the number of messages so far."""
        with self._changed:
            return len(self.messages)

    def close(self) -> None:
        """Unsubscribe."""
        self._driver.node.destroy_subscription(self.subscription)


class Driver:
    """One rclpy node in this process, spun by a thread."""

    def __init__(self, domain_id: int) -> None:
        self.domain_id = domain_id
        rclpy.init(domain_id=domain_id)
        self.node = rclpy.create_node('driver')
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self._closing = False
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self.diagnostics = Collector(self, DiagnosticArray, '/diagnostics')

    def _spin(self) -> None:
        while not self._closing:
            try:
                self.executor.spin_once(timeout_sec=0.2)
            except Exception:
                # A test may destroy an entity while the executor uses it.
                if self._closing:
                    return

    def now_ns(self) -> int:
        """Return the current time of the clock that stamps images."""
        return int(self.node.get_clock().now().nanoseconds)

    def close(self) -> None:
        """End the thread and the node."""
        self._closing = True
        self.executor.wake()
        self._thread.join()
        self.node.destroy_node()
        rclpy.try_shutdown()


class NodeClient:
    """A node process, with methods for all actions of a test on it."""

    def __init__(
        self, driver: Driver, process: NodeProcess, name: str = 'perception_node', status: str = 'perception',
    ) -> None:
        self.driver = driver
        self.process = process
        self.name = f'{process.namespace}/{name}'
        self._status = f'{self.name[1:]}: {status}'
        node = driver.node
        self._clients: list[Any] = []

        def client(kind: Any, service: str) -> Any:
            self._clients.append(node.create_client(kind, f'{self.name}/{service}'))
            return self._clients[-1]

        self._change_state = client(ChangeState, 'change_state')
        self._get_state = client(GetState, 'get_state')
        self._transitions = client(GetAvailableTransitions, 'get_available_transitions')
        self._set = client(SetParametersAtomically, 'set_parameters_atomically')
        self._set_each = client(SetParameters, 'set_parameters')
        self._get = client(GetParameters, 'get_parameters')
        self._list = client(ListParameters, 'list_parameters')
        self._describe = client(DescribeParameters, 'describe_parameters')
        self._collectors: dict[str, Collector] = {}
        self._publishers: list[Any] = []
        self._original: dict[str, Any] = {}

    # Services

    def wait_for_services(self) -> None:
        """Wait until the node is up and each of its services has answered."""
        for client in self._clients:
            # wait_for_service looks four times a second only.
            wait_until(
                lambda client=client: client.service_is_ready() or self.process.process.poll() is not None,
                f'{client.srv_name} is there')
            assert self.process.process.poll() is None, f'the node ended:\n{self.process.tail()}'
            request = client.srv_type.Request()
            if client is self._change_state:
                request.transition.label = _NO_TRANSITION
            # A service that has not discovered this client completely drops its answer after 0.1 s (rmw_fastrtps). None
            # of these requests changes anything, so they may be repeated.
            wait_until(
                lambda client=client, request=request: self._answers(client, request),
                lambda client=client: f'{client.srv_name} answers; the node said:\n{self.process.tail()}')

    @staticmethod
    def _answers(client: Any, request: Any) -> bool:
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        if done.wait(0.5):
            return True
        client.remove_pending_request(future)
        return False

    def complaints_since(self, mark: int) -> list[str]:
        """Return the lines that the node printed after `mark`, without those that may come at any time.

        They are at INFO, such as what a node waits for that is not configured within 5 s, or about a request of
        wait_for_services that the node answers late.
        """
        return [
            line for line in self.process.lines_since(mark)
            if line.strip() and '[INFO]' not in line and f'No transition matching {_NO_TRANSITION} found' not in line]

    def call(self, client: Any, request: Any, timeout: float = TIMEOUT) -> Any:
        """Return the answer to a service request."""
        return self.result(client.call_async(request), client.srv_name, timeout)

    def result(self, future: Any, what: str, timeout: float = TIMEOUT) -> Any:
        """Wait for a future and return its answer."""
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(timeout), (
            f'no answer from {what} within {timeout:.0f} s; the node said:\n{self.process.tail()}')
        return future.result()

    def begin(self, transition: str | int) -> Any:
        """Request a transition and return the future of the answer."""
        request = ChangeState.Request()
        if isinstance(transition, int):
            request.transition.id = transition
        else:
            request.transition.label = transition
        return self._change_state.call_async(request)

    def change_state(self, transition: str | int) -> bool:
        """Request a transition by label or id. Returns whether the node reports success."""
        return bool(self.result(self.begin(transition), f'transition {transition}').success)

    def state(self) -> str:
        """Return the label of the state."""
        return str(self.call(self._get_state, GetState.Request()).current_state.label)

    def possible_transitions(self) -> dict[str, int]:
        """Return label to id of the transitions that are possible now."""
        answer = self.call(self._transitions, GetAvailableTransitions.Request())
        return {t.transition.label: t.transition.id for t in answer.available_transitions}

    def set_parameters(self, **values: Any) -> tuple[bool, str]:
        """Set parameters together. Returns (accepted, the node's reason for a refusal)."""
        request = SetParametersAtomically.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg() for name, value in values.items()])
        return self.set_messages(request)

    def set_messages(self, request: Any) -> tuple[bool, str]:
        """Send a set_parameters_atomically request as it is."""
        names = [p.name for p in request.parameters if p.name not in self._original]
        for name, value in zip(names, self.parameters(names)):
            self._original[name] = value
        result = self.call(self._set, request).result
        return bool(result.successful), str(result.reason)

    def set_each(self, request: Any) -> list[Any]:
        """Send a set_parameters request as it is. Returns the result of each parameter."""
        return list(self.call(self._set_each, request).results)

    def parameters(self, names: Iterable[str]) -> list[Any]:
        """Return the values; an empty list if a name does not exist."""
        answer = self.call(self._get, GetParameters.Request(names=list(names)))
        return [parameter_value_to_python(value) for value in answer.values]

    def parameter_names(self) -> list[str]:
        """Return the names of all parameters."""
        return list(self.call(self._list, ListParameters.Request()).result.names)

    def describe(self, names: Iterable[str]) -> list[Any]:
        """Return the descriptors, as `ros2 param describe` gets them."""
        return list(self.call(self._describe, DescribeParameters.Request(names=list(names))).descriptors)

    def bring_to(self, state: str, **values: Any) -> None:
        """Go to the state through unconfigured. Parameters that are not given get their initial values."""
        current = self.state()
        if current == 'active':
            assert self.change_state('deactivate')
            current = 'inactive'
        if current == 'inactive':
            assert self.change_state('cleanup')
            current = 'unconfigured'
        assert current == 'unconfigured'
        # Wait until DDS has forgotten the old endpoints: they must not be mistaken for the new ones.
        graph = self.driver.node
        wait_until(lambda: not any(graph.count_subscribers(self.topic(t)) for t in _INPUTS), 'no subscription left')
        wait_until(lambda: not any(graph.count_publishers(self.topic(t)) for t in _OUTPUTS), 'no publisher left')
        wanted = {name: value for name, value in {**self._original, **values}.items() if value is not None}
        if wanted:
            accepted, reason = self.set_parameters(**wanted)
            assert accepted, reason
        self._original.update({name: self._original[name] for name in values})
        if state in ('inactive', 'active'):
            assert self.change_state('configure'), self.process.tail()
        if state == 'active':
            assert self.change_state('activate')

    # Topics

    def topic(self, name: str) -> str:
        """Return the node's topic by its relative name."""
        return f'{self.process.namespace}/{name}'

    def collect(self, name: str, kind: Any, qos: Any = 100) -> Collector:
        """Subscribe to one of the node's topics. A second call returns the same collector."""
        if name not in self._collectors:
            self._collectors[name] = Collector(self.driver, kind, self.topic(name), qos)
        return self._collectors[name]

    @property
    def detections(self) -> Collector:
        """All detections so far."""
        return self.collect('detections', Detection2DArray)

    @property
    def classifications(self) -> Collector:
        """All classifications so far."""
        return self.collect('classifications', Classification)

    def camera(
        self, kind: Any = Image, topic: str = 'image',
        reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE, connected: bool = True,
    ) -> Any:
        """Return a publisher of images; with `connected`, wait until the node has discovered it."""
        # Before the publisher: the node then knows this subscription when it has found the publisher, and no result is
        # lost.
        assert self.detections
        publisher = self.driver.node.create_publisher(
            kind, self.topic(topic), QoSProfile(depth=5, reliability=reliability))
        self._publishers.append(publisher)
        if connected:
            wait_until(lambda: publisher.get_subscription_count() == 1, f'the node subscribes {topic}')
            # Each side discovers the other separately, and a best-effort reader drops messages that come before that.
            own = sum(p.topic_name == publisher.topic_name for p in self._publishers)
            self.diagnosis(
                lambda _, v: v.get('image_publishers', '').split(', ').count('/driver') == own,
                f'the node has found the publisher of {topic}')
        return publisher

    def close_camera(self, publisher: Any) -> None:
        """Destroy a publisher."""
        self._publishers.remove(publisher)
        self.driver.node.destroy_publisher(publisher)

    def close_cameras(self) -> None:
        """Destroy all publishers that camera() returned."""
        for publisher in list(self._publishers):
            self.close_camera(publisher)

    def wait_for_outputs(self, *names: str) -> None:
        """Wait until this process has discovered the node's publishers of these topics."""
        for name in names:
            topic = self.topic(name)
            wait_until(lambda topic=topic: self.driver.node.count_publishers(topic) == 1, f'{topic} is published')

    def answer_to(self, camera: Any, message: Any, outputs: Collector | None = None) -> Any:
        """Publish an image under a frame_id of its own, and return the result that carries its header."""
        message.header.frame_id = f'{message.header.frame_id or "camera"}_{next(_NUMBERS)}'
        return self.result_of(camera, message, outputs)

    def result_of(self, camera: Any, message: Any, outputs: Collector | None = None) -> Any:
        """Publish an image as it is, and return the result that carries its header. No earlier image may have it."""
        outputs = self.detections if outputs is None else outputs
        wanted, since = message.header, outputs.count()

        def result(timeout: float) -> Any:
            try:
                return outputs.wait(lambda m: m.header == wanted, since, timeout)
            except AssertionError:
                return None

        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            camera.publish(message)
            found = result(_RESEND_S)
            while found is None and self._has_work() and time.monotonic() < deadline:
                found = result(_RESEND_S)
            # The report without work may have come before the result.
            found = result(1.0) if found is None else found
            if found is not None:
                return found
        raise AssertionError(f'no result of {wanted} within {TIMEOUT:.0f} s; the node said:\n{self.process.tail()}')

    def outcome_of(self, camera: Any, message: Any, outcome: str) -> tuple[DiagnosticStatus, dict[str, str]]:
        """Publish an image, and return the first status and values that have it in the count `outcome`.

        outcome: 'received', or one of OUTCOMES

        The outcomes of all earlier images must have been in a diagnosis.
        """
        before = int(self.diagnosis()[1][outcome])
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            camera.publish(message)
            resend = time.monotonic() + _RESEND_S
            status, values = self.diagnosis(
                lambda _, v, resend=resend: int(v[outcome]) > before or (time.monotonic() > resend and settled(v)),
                f'an image counted as {outcome}')
            if int(values[outcome]) > before:
                return status, values
        raise AssertionError(f'no image was counted as {outcome}; the node said:\n{self.process.tail()}')

    def _has_work(self) -> bool:
        """Whether the node has an image without an outcome. False also if its diagnostics go to another topic."""
        try:
            return not settled(self.diagnosis(timeout=_RESEND_S)[1])
        except AssertionError:
            return False

    # Diagnostics

    def diagnosis(
        self, condition: Callable[[DiagnosticStatus, dict[str, str]], bool] = lambda *_: True,
        what: str = 'a diagnosis', timeout: float = TIMEOUT, camera: str = '',
    ) -> tuple[DiagnosticStatus, dict[str, str]]:
        """Return the first status from now on that meets the condition, and its values by key.

        The node begins to measure it after this call: what it says is not older than what the test did before.

        camera: the namespace of one of several cameras, '' for the status of the node
        """
        diagnostics, now_ns = self.driver.diagnostics, time.time_ns()
        since = diagnostics.count()
        numbers = itertools.count(since)
        found: list[tuple[DiagnosticStatus, dict[str, str]]] = []
        begun = False

        def check(message: DiagnosticArray) -> bool:
            nonlocal begun
            published_ns = diagnostics.published[next(numbers)]
            for status in message.status:
                if status.name != f'{self._status} {camera}'.rstrip():
                    continue
                if not begun:
                    # Published after the call, but perhaps measured before it. The next one is new.
                    begun = published_ns > now_ns
                    continue
                values = {pair.key: pair.value for pair in status.values}
                if condition(status, values):
                    found.append((status, values))
                    return True
            return False

        diagnostics.wait(check, since, timeout, what)
        return found[0]

    def diagnosis_with_images(
        self, camera: Any, message: Any, condition: Callable[[DiagnosticStatus, dict[str, str]], bool], what: str,
        new_stamps: bool = True,
    ) -> tuple[DiagnosticStatus, dict[str, str]]:
        """Return the first status that meets the condition, and its values, while an image comes for each report.

        After five seconds without images, the node would report only that.

        new_stamps: give each image the present time as its stamp
        """
        def check(status: DiagnosticStatus, values: dict[str, str]) -> bool:
            if condition(status, values):
                return True
            if new_stamps:
                message.header.stamp = self.driver.node.get_clock().now().to_msg()
            camera.publish(message)
            return False

        return self.diagnosis(check, what)

    def counts(self, condition: Callable[[dict[str, int]], bool], what: str) -> dict[str, int]:
        """Return the counts of the first diagnosis from now on that meets the condition."""
        def numbers(values: dict[str, str]) -> dict[str, int]:
            return {key: int(values[key]) for key in ('received', *OUTCOMES)}

        _, values = self.diagnosis(lambda _, values: condition(numbers(values)), what)
        return numbers(values)

    def close(self) -> None:
        """Destroy this side's clients, subscriptions and publishers."""
        for client in self._clients:
            self.driver.node.destroy_client(client)
        for collector in self._collectors.values():
            collector.close()
        self.close_cameras()


def boxes_of(message: Detection2DArray) -> dict[str, tuple[tuple[float, float, float, float], float]]:
    """Return class id to ((x_min, y_min, x_max, y_max), score). Each class must occur only once."""
    found = {}
    for detection in message.detections:
        box, hypothesis = detection.bbox, detection.results[0].hypothesis
        assert hypothesis.class_id not in found
        x, y = box.center.position.x, box.center.position.y
        found[hypothesis.class_id] = (
            (x - box.size_x / 2, y - box.size_y / 2, x + box.size_x / 2, y + box.size_y / 2),
            hypothesis.score)
    return found
