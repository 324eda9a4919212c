# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, controlled by the Chrome DevTools Protocol over two pipes: no driver and no package needed."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
# Expression: seconds that the page's video has played, once it moves. A video that cannot be played never moves.
PLAYED = """new Promise((resolve) => {
  const video = document.querySelector('video');
  video.play();
  const look = () => {
    if (video.readyState >= 2 && video.currentTime > 0.1) resolve(video.currentTime); else setTimeout(look, 50);
  };
  look();
})"""
# Chromium reads commands from descriptor 3 and writes to 4. This process is replaced by it.
LAUNCH = """
import fcntl, os, sys
pipes = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for pipe, number in zip(pipes, (3, 4)):
    os.dup2(pipe, number)
    os.close(pipe)
os.execv(sys.argv[3], sys.argv[3:])
"""
FLAGS = (
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-dev-shm-usage',
    '--disable-background-networking', '--disable-component-update', '--disable-sync', '--remote-debugging-pipe')


def find_browser():
    """Return the path of a Chromium, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One tab with an empty profile; a context manager.

    `errors` has script errors and console errors, as text; `requests` the addresses that pages asked for.
    """

    def __init__(self, timeout_s=120):
        self._timeout_s = timeout_s
        self._number = 0
        self._rest = b''
        self._session = None
        self._loaded = False
        self.errors = []
        self.requests = []
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        inside_read, self._to = os.pipe()
        self._from, inside_write = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, '-c', LAUNCH, str(inside_read), str(inside_write), find_browser(), *FLAGS,
             f'--user-data-dir={self._profile.name}', 'about:blank'],
            pass_fds=(inside_read, inside_write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(inside_read)
        os.close(inside_write)

    def __enter__(self):
        target = self._call('Target.createTarget', url='about:blank')['targetId']
        self._session = self._call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self._call(f'{domain}.enable')
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)
        self._profile.cleanup()

    def open(self, path, width=1200, height=900):
        """Open a file or an http address in a window of this size (below 600: a phone); wait until it is loaded."""
        self._call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1,
                   mobile=width < 600)
        self._loaded = False
        is_address = str(path).startswith('http')
        self._call('Page.navigate', url=path if is_address else Path(path).resolve().as_uri())
        deadline = time.monotonic() + self._timeout_s
        while not self._loaded:
            self._read(deadline)

    def evaluate(self, expression):
        """Return the value of a JavaScript expression; a promise is awaited."""
        answer = self._call('Runtime.evaluate', expression=expression, awaitPromise=True, returnByValue=True)
        if 'exceptionDetails' in answer:
            raise RuntimeError(answer['exceptionDetails'])
        return answer['result'].get('value')

    def screenshot(self, path):
        """Write the whole page as a PNG."""
        data = self._call('Page.captureScreenshot', captureBeyondViewport=True, clip={
            'x': 0, 'y': 0, 'scale': 1, 'width': self.evaluate('document.documentElement.clientWidth'),
            'height': self.evaluate('document.documentElement.scrollHeight')})
        Path(path).write_bytes(base64.b64decode(data['data']))

    def _call(self, method, **parameters):
        self._number += 1
        message = {'id': self._number, 'method': method, 'params': parameters}
        if self._session is not None:
            message['sessionId'] = self._session
        os.write(self._to, json.dumps(message).encode() + b'\0')
        deadline = time.monotonic() + self._timeout_s
        while True:
            answer = self._read(deadline)
            if answer.get('id') == self._number:
                if 'error' in answer:
                    raise RuntimeError(f'{method}: {answer["error"]}')
                return answer['result']

    def _read(self, deadline):
        while b'\0' not in self._rest:
            if not select.select([self._from], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f'no answer of the browser in {self._timeout_s} s')
            added = os.read(self._from, 1 << 20)
            if not added:
                raise RuntimeError(f'the browser ended with code {self._process.wait()}')
            self._rest += added
        line, self._rest = self._rest.split(b'\0', 1)
        message = json.loads(line)
        method, parameters = message.get('method'), message.get('params', {})
        if method == 'Page.loadEventFired':
            self._loaded = True
        elif method == 'Network.requestWillBeSent':
            self.requests.append(parameters['request']['url'])
        elif method == 'Runtime.exceptionThrown':
            self.errors.append(str(parameters['exceptionDetails'].get('exception', parameters['exceptionDetails'])))
        elif method == 'Runtime.consoleAPICalled' and parameters['type'] == 'error':
            self.errors.append(str(parameters['args']))
        elif method == 'Log.entryAdded' and parameters['entry']['level'] == 'error':
            self.errors.append(parameters['entry']['text'])
        return message
