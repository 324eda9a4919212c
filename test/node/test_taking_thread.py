# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The thread that takes images: it works without the executor, survives errors, and ends on close()."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

QOS_DEPTH = 10
SOON = 600.0  # seconds to wait for events that come at once


class Topic:
    """A publisher and a TakingThread of std_msgs/String in a separate node that no executor spins."""

    def __init__(self, node: Any, on_message: Callable[[Any], None]) -> None:
        from std_msgs.msg import String
        from support.harness_driver import wait_until

        from trt_perception.node.image_topics.taking_thread import NotOfTheExecutor, TakingThread

        self._message = String
        self._publisher = node.create_publisher(String, 'words', QOS_DEPTH)
        self.subscription = node.create_subscription(
            String, 'words', lambda message: pytest.fail('called by rclpy'), QOS_DEPTH,
            callback_group=NotOfTheExecutor())
        self.errors: list[Exception] = []
        self.taking = TakingThread(node, self.subscription, on_message, self.errors.append)
        wait_until(self._publisher.get_subscription_count, 'the publisher to find the subscription')

    def say(self, word: str) -> None:
        self._publisher.publish(self._message(data=word))


@pytest.fixture
def node(ros_environment: int) -> Iterator[Any]:
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    context = rclpy.Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('taking', context=context, use_global_arguments=False)
    yield node
    node.destroy_node()
    rclpy.try_shutdown(context=context)


class Heard:
    """Collects words; raises on the word 'bad'."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.threads: set[str] = set()
        self._changed = threading.Condition()

    def __call__(self, message: Any) -> None:
        with self._changed:
            self.words.append(message.data)
            self.threads.add(threading.current_thread().name)
            self._changed.notify_all()
        if message.data == 'bad':
            raise ValueError('a bad word')

    def wait(self, count: int) -> list[str]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.words) >= count, SOON), self.words
            return list(self.words)


def test_messages_come_in_its_thread_and_an_error_ends_nothing(node):
    heard = Heard()
    topic = Topic(node, heard)
    for word in ('one', 'bad', 'two'):
        topic.say(word)
    assert heard.wait(3) == ['one', 'bad', 'two']
    assert heard.threads == {'images'}
    assert [str(error) for error in topic.errors] == ['a bad word']
    topic.taking.close()


def test_an_executor_leaves_it_the_messages(node):
    from rclpy.executors import SingleThreadedExecutor

    heard = Heard()
    topic = Topic(node, heard)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    for word in 'abcdefgh':
        topic.say(word)
        # The executor would call the subscription's callback, which fails.
        executor.spin_once(timeout_sec=0.02)
    assert heard.wait(8) == list('abcdefgh')
    executor.shutdown()
    topic.taking.close()


def test_close_waits_for_the_message_in_hand_and_no_other_comes(node):
    begun, finish = threading.Event(), threading.Event()
    words: list[str] = []

    def slow(message: Any) -> None:
        begun.set()
        finish.wait(SOON)
        words.append(message.data)

    topic = Topic(node, slow)
    topic.say('one')
    topic.say('two')
    assert begun.wait(SOON)
    heard: list[str] = []

    def close() -> None:
        topic.taking.close()
        heard.extend(words)

    closer = threading.Thread(target=close)
    closer.start()
    # A close() that does not wait would have returned by now.
    closer.join(0.3)
    assert closer.is_alive()
    finish.set()
    closer.join(SOON)
    assert heard == ['one']
    # No other thread could take the second message.
    assert 'images' not in [thread.name for thread in threading.enumerate()]
    assert words == ['one']


def test_close_needs_no_message(node):
    topic = Topic(node, Heard())
    closer = threading.Thread(target=topic.taking.close, daemon=True)
    closer.start()
    closer.join(SOON)
    assert not closer.is_alive()
    node.destroy_subscription(topic.subscription)
    assert list(node.subscriptions) == []


def test_it_ends_by_itself_when_ros_is_shut_down(node):
    import rclpy

    shut_down = threading.Event()

    def ending(message: Any) -> None:
        rclpy.shutdown(context=node.context)
        shut_down.set()
        raise RuntimeError('nothing works any more')

    topic = Topic(node, ending)
    topic.say('one')
    assert shut_down.wait(SOON)
    topic.taking.close()
    assert topic.errors == []
