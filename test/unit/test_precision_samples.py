# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import gc
import weakref

import numpy as np
import pytest

from trt_perception.errors import CalibrationError, SourceError
from trt_perception.image.frame import Frame
from trt_perception.model.spec import load_model
from trt_perception.precision import calibration_frames as samples_module
from trt_perception.precision.calibration import calibration_of
from trt_perception.precision.calibration_frames import read_samples

cv2 = pytest.importorskip('cv2')
pytest.importorskip('onnx')
from support.precision_models import color_frames, conv_detector


def folder_of(path, count):
    """Write images, image i with the grey value i; return the folder."""
    path.mkdir(exist_ok=True)
    for index in range(count):
        cv2.imwrite(str(path / f'{index}.png'), np.full((8, 8, 3), index, np.uint8))
    return path


def numbers(frames):
    return [int(frame.bgr()[0, 0, 0]) for frame in frames]


def frames_in_memory():
    return [found for found in gc.get_objects() if isinstance(found, Frame)]


def test_samples_are_spread_evenly(tmp_path):
    samples = read_samples(folder_of(tmp_path / 'images', 200), 40, 10)
    found = numbers(samples.calibration) + numbers(samples.checking)
    assert (len(samples.calibration), len(samples.checking)) == (40, 10)
    assert len(set(found)) == 50
    assert np.diff(sorted(found)).max() <= 5 and min(found) <= 4 and max(found) >= 195
    assert np.diff(numbers(samples.checking)).min() >= 15
    assert samples.held_out and samples.warnings == ()


def test_a_long_source_is_spread_evenly_too(tmp_path):
    video = tmp_path / 'long.avi'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*'MJPG'), 30, (16, 16))
    for index in range(250):
        writer.write(np.full((16, 16, 3), index, np.uint8))
    writer.release()
    found = numbers(read_samples(video, 8, 0).calibration)
    assert len(found) == 8
    assert np.allclose(found, np.arange(8) * 31.25 + 15.6, atol=10)


@pytest.mark.parametrize('many, most', [(1 << 30, 32), (0, 16)])
def test_large_frames_are_not_piled_up(tmp_path, monkeypatch, many, most):
    monkeypatch.setattr(samples_module, 'MANY_BYTES', many)
    alive, pile = weakref.WeakSet(), []

    def told(text, seen, total):
        alive.update(frames_in_memory())
        pile.append(len(alive))

    # Frozen objects are not listed: each look sees only what is new, and not the frames of other tests.
    gc.freeze()
    try:
        found = numbers(read_samples(folder_of(tmp_path / 'images', 200), 8, 0, progress=told).calibration)
    finally:
        gc.unfreeze()
    # One more frame is the frame just read.
    assert most <= max(pile) <= most + 1
    assert len(found) == 8 and np.diff(found).max() <= 40 and found[0] <= 20 and found[-1] >= 180


def test_few_samples_warn(tmp_path):
    samples = read_samples(folder_of(tmp_path / 'images', 10), 64, 24)
    assert (len(samples.calibration), len(samples.checking), samples.held_out) == (7, 3, True)
    assert any('only 7 calibration samples (64 requested)' in text for text in samples.warnings)


@pytest.mark.parametrize('there, count, checking, expected', [
    (36, 12, 24, (12, 24)), (30, 12, 24, (12, 18)), (88, 64, 24, (64, 24)), (80, 64, 24, (56, 24)),
    (66, 64, 24, (44, 22)), (200, 1, 16, (1, 16)), (2, 1, 16, (1, 1)), (40, 40, 0, (40, 0))])
def test_never_more_samples_than_were_asked_for(tmp_path, there, count, checking, expected):
    samples = read_samples(folder_of(tmp_path / 'images', there), count, checking)
    assert (len(samples.calibration), len(samples.checking)) == expected
    found = numbers(samples.calibration) + numbers(samples.checking)
    assert len(set(found)) == len(found)


def test_a_single_image_is_both(tmp_path):
    samples = read_samples(folder_of(tmp_path / 'images', 1), 64)
    assert len(samples.calibration) == len(samples.checking) == 1
    assert not samples.held_out
    assert any('too few frames to hold some out' in text for text in samples.warnings)


def test_no_source_is_refused():
    with pytest.raises(CalibrationError, match='int8 needs calibration data'):
        read_samples('', 10)


def test_a_missing_folder(tmp_path):
    with pytest.raises(SourceError, match='no such file or folder'):
        read_samples(tmp_path / 'nothing', 10)


def test_unreadable_images_are_left_out_and_told(tmp_path):
    folder = folder_of(tmp_path / 'images', 40)
    (folder / '3.png').write_bytes(b'no image')
    samples = read_samples(folder, 30, 9)
    assert 3 not in numbers(samples.calibration) + numbers(samples.checking)
    assert any('1 frames could not be read' in text and '3.png' in text for text in samples.warnings)


def test_only_unreadable_images(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'no image')
    with pytest.raises(CalibrationError, match='found no readable image'):
        read_samples(tmp_path, 10)


@pytest.fixture
def spec(tmp_path):
    return load_model(conv_detector(tmp_path / 'model.onnx'))


def test_calibration_gives_what_the_pipeline_feeds(spec):
    pixels = next(color_frames(1))
    (sample,) = calibration_of(spec, [Frame.from_bgr(pixels)], 'minmax').inputs()
    # The metadata says bgr and 1/255; the picture has the input's size.
    assert np.allclose(sample['images'][0], pixels.transpose(2, 0, 1) / 255)


def test_identity_is_that_of_pixels_method_and_preprocessing(spec, tmp_path):
    from dataclasses import replace
    frames = [Frame.from_bgr(pixels) for pixels in color_frames(3)]
    identity = calibration_of(spec, frames, 'mse').sha256
    # The same pixels through a lossless file.
    cv2.imwrite(str(tmp_path / 'a.png'), frames[0].bgr())
    read = Frame.from_bgr(cv2.imread(str(tmp_path / 'a.png')))
    assert calibration_of(spec, [read, *frames[1:]], 'mse').sha256 == identity
    changed = frames[0].bgr().copy()
    changed[20, 20, 0] ^= 1
    assert calibration_of(spec, [Frame.from_bgr(changed), *frames[1:]], 'mse').sha256 != identity
    assert calibration_of(spec, frames, 'minmax').sha256 != identity
    assert calibration_of(spec, frames[:2], 'mse').sha256 != identity
    other = replace(spec, preprocessing=replace(spec.preprocessing, color_order='rgb'))
    assert calibration_of(other, frames, 'mse').sha256 != identity


def test_no_frames_and_unknown_method_are_refused(spec):
    with pytest.raises(CalibrationError, match='found no frame'):
        calibration_of(spec, [])
    with pytest.raises(CalibrationError, match="'best': expected one of auto, minmax"):
        calibration_of(spec, [Frame.from_bgr(next(color_frames(1)))], 'best')
