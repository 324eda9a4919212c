# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import pytest

from trt_perception.backends.tensorrt.library.build_progress import BuildPhases


def test_a_phase_fills_one_step_of_its_parent():
    phases = BuildPhases()
    assert phases.start('build', None, 4) == ('build', 0.0, 1.0)
    assert phases.start('optimise', 'build', 2) == ('optimise', 0.0, 1.0)
    assert phases.step('optimise', 0) == ('optimise', pytest.approx(1 / 8), 1.0)
    assert phases.step('optimise', 1) == ('optimise', pytest.approx(1 / 4), 1.0)
    phases.finish('optimise')
    assert phases.step('build', 0)[1] == pytest.approx(1 / 4)
    phases.start('time', 'build', 10)
    phases.start('kernels', 'time', 2)
    assert phases.step('kernels', 0)[1] == pytest.approx(1 / 4 + 1 / 4 / 10 / 2)
    assert phases.finish('build')[1] == 1.0


def test_progress_never_goes_back():
    phases = BuildPhases()
    phases.start('build', None, 2)
    phases.start('a', 'build', 1)
    assert phases.step('a', 0)[1] == 0.5
    phases.finish('a')
    # The second phase of the same step starts again at 0.
    assert phases.start('b', 'build', 10)[1] == 0.5
    assert phases.step('b', 0)[1] == 0.5


def test_unknown_phases_do_no_harm():
    phases = BuildPhases()
    assert phases.step('never started', 3) == ('never started', 0.0, 1.0)
    assert phases.finish('never started') == ('never started', 0.0, 1.0)
    assert phases.start('orphan', 'gone', 0) == ('orphan', 0.0, 1.0)
