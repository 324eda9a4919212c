# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""annotate with many workers writes what one process writes, whatever happens to the workers."""

import functools
import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

cv2 = pytest.importorskip('cv2')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('rosbags.rosbag2')
from support.bags import edit_metadata, write_bag
from support.crew_here import CrewHere
from support.mcap_file import image_bytes, write_mcap
from support.ros1_bags import write_ros1_bag
from support.tiny_models import color_classifier, color_detector, dynamic_color_detector
from test_annotate import COMPRESSED, START, digests, images, jpeg, raw

from trt_perception.annotate.errors import AnnotateError
from trt_perception.annotate.one_bag import OpenBag
from trt_perception.annotate.options import AnnotateOptions
from trt_perception.annotate.store import Store, run_of
from trt_perception.cli import annotate as command
from trt_perception.cli.main import SUBCOMMANDS, main
from trt_perception.cli.parser import make_parser
from trt_perception.fleet.run import annotate_fleet
from trt_perception.fleet.schedule import ATTEMPTS
from trt_perception.fleet.worker import Order


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a model."""
    monkeypatch.chdir(tmp_path)
    color_detector(tmp_path / 'm.onnx')
    return tmp_path


def never(worker, method, arguments):
    return False


def command_line(arguments):
    return ['annotate', '--model', 'm.onnx', '--threads', '1', '--score', '0.4', *map(str, arguments)]


def fleet(*arguments, workers=3, part=7, dies=never):
    """(outcomes by the names of the bags, lines that were reported, what the workers did, summary)."""
    options = make_parser(SUBCOMMANDS).parse_args([*command_line(arguments), '--output', 'fleet'])
    outcomes, lines = [], []
    with Store.opened(options.output) as store:
        spec = command.load(options)
        other = command.load_other(options, spec)
        wanted = command._options(options, spec, other)
        crew = CrewHere(Order(
            str(Path.cwd()), options.output.absolute(), run_of(wanted.settings),
            functools.partial(command.opened_worker, options)), workers, dies)
        summary = annotate_fleet(
            options.bags, store, crew.opened, wanted, part, lines.append, outcomes.append)
    return {str(outcome.bag): outcome for outcome in outcomes}, lines, crew.calls, summary


def one_process(capfd, *arguments):
    """Lines on stderr of the same without a fleet."""
    main([*command_line(arguments), '--output', 'one'])
    # Other lines are progress, if it takes long.
    start = 'trt_perception: '
    return [line.removeprefix(start) for line in capfd.readouterr().err.splitlines() if line.startswith(start)]


def relative(path):
    return {file.relative_to(path).as_posix(): digest for file, digest in digests(path).items()}


def same():
    """The files of both, which are equal."""
    one, other = relative('one'), relative('fleet')
    assert one == other
    return one


def kinds(calls):
    return [method for _, method, _ in calls]


def many_kinds_of_bags():
    """A small bag; two topics, one of them JPEG, one image of it damaged; SQLite; a file that is cut off."""
    write_bag(Path('small'), {'/image': list(images('coffee', 3))})
    pictures = [(COMPRESSED, START + n * 40_000_000 + 5, START + n, jpeg('rocket', n)) for n in range(15)]
    pictures[4][3]['data'] = pictures[4][3]['data'][:-300]
    pictures[9][3]['data'] = pictures[9][3]['data'][:10]
    write_bag(Path('two'), {'/a/image_raw': list(images('coffee', 12)), '/b/image/compressed': pictures})
    write_bag(Path('lite'), {'/image': list(images('rocket', 18))}, storage='sqlite3')
    write_mcap(Path('cut.mcap'), [
        ('/image', 'sensor_msgs/msg/Image', START + n, START + n - 9, image_bytes(raw('coffee', n), START + n))
        for n in range(20)], per_chunk=4)
    content = bytearray(Path('cut.mcap').read_bytes())
    content[len(content) // 2] ^= 255
    Path('cut.mcap').write_bytes(content[:-300_000])
    return ['small', 'two', 'lite', 'cut.mcap']


@pytest.mark.parametrize('extra', [
    ['--formats', f'bag,json,coco,video{",parquet" if find_spec("pyarrow") else ""}', '--coco-every', '4',
     '--coco-unlike', '3'],
    ['--tracking', '--merge', '--formats', 'bag,json'],
    ['--formats', 'json,coco', '--coco-missed-by', 'm.onnx', '--coco-every', '2', '--damaged-images', 'drop']])
def test_the_files_are_those_of_one_process(capfd, extra):
    bags = many_kinds_of_bags()
    errors = one_process(capfd, *bags, *extra)
    outcomes, lines, calls, summary = fleet(*bags, *extra)
    files = same()
    assert len({name.split('/')[0] for name in files}) == 5 and len(files) > 9
    assert sorted(lines) == sorted(errors) and len(lines) >= 4
    assert outcomes['two'].counts.bad + outcomes['two'].counts.damaged >= 2 and outcomes['cut.mcap'].counts.places == 2
    assert kinds(calls).count('annotate') == 1 and kinds(calls).count('finish') == 3
    assert kinds(calls).count('run_part') >= 3 + 2 + 2
    images_read = sum(outcome.counts.images for outcome in outcomes.values())
    assert summary.images == images_read == sum(worker.images for worker in summary.workers)
    assert all(worker.images for worker in summary.workers)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_missing_messages_are_said_once_of_a_bag_that_is_split(capfd, storage):
    write_bag(Path('bag'), {'/image': list(images('coffee', 18))}, storage=storage)
    edit_metadata(Path('bag'), lambda info: info['topics_with_message_count'][0].update(message_count=25))
    errors = one_process(capfd, 'bag')
    outcomes, lines, calls, _ = fleet('bag')
    same()
    assert lines == errors and len(lines) == 1
    assert 'counts 25 messages of /image, but the storage files have only 18' in lines[0]
    assert outcomes['bag'].counts.places == 1 and kinds(calls).count('run_part') >= 2


def test_batches_are_the_same_although_the_bag_is_split(capfd, folder):
    dynamic_color_detector(folder / 'm.onnx')
    bags = many_kinds_of_bags()[1::2]
    one_process(capfd, *bags, '--max-batch', '4', '--score', '0.7')
    _, _, calls, _ = fleet(*bags, '--max-batch', '4', '--score', '0.7', workers=2, part=5)
    same()
    assert kinds(calls).count('run_part') >= 4
    assert 'max_batch' in json.loads(Path('fleet/two/annotation.json').read_text())['backend']


def test_a_ros_1_bag_is_not_split(capfd):
    write_ros1_bag(Path('old.bag'), {'/image': list(images('coffee', 20))})
    one_process(capfd, 'old.bag')
    _, lines, calls, _ = fleet('old.bag')
    assert same() and lines == [] and kinds(calls)[-2:] == ['survey', 'annotate']


def test_a_classifier(capfd, folder):
    color_classifier(folder / 'm.onnx')
    write_bag(Path('bag'), {'/image': list(images('coffee', 20))})
    one_process(capfd, 'bag')
    fleet('bag')
    same()


def test_results_have_the_bits_of_one_process():
    """A line of a part has the bytes of the numbers, so nothing is rounded on the way."""
    import io

    import numpy as np

    from trt_perception.annotate.item import BagImage
    from trt_perception.annotate.stored_answers import stored_answers, write_answer, write_end
    from trt_perception.image.frame import Frame
    from trt_perception.results.results import Detections

    numbers = np.random.default_rng(0)
    boxes = numbers.normal(size=(50, 4)).astype(np.float32)
    boxes[0] = np.nan, np.inf, -0.0, np.float32(1e-45)
    result = Detections(boxes, numbers.random(50, np.float32), numbers.integers(0, 2**40, 50))
    image = BagImage(
        '/ä', 3, 2**62, 5, 6, 7, 'cämera\n', Frame.from_bgr(np.zeros((4, 6, 3), np.uint8)))
    text = io.StringIO()
    write_answer(text, (image, result))
    write_answer(text, (image, Detections.empty()))
    write_end(text)
    Path('part').write_text(text.getvalue(), encoding='utf-8')
    (read, found), (_, empty) = stored_answers([Path('part')])
    assert found.boxes.tobytes() == boxes.tobytes() and found.boxes.dtype == np.float32
    assert found.scores.tobytes() == result.scores.tobytes() and (found.class_indices == result.class_indices).all()
    assert (read.topic, read.index, read.log_ns, read.frame_id) == ('/ä', 3, 2**62, 'cämera\n')
    assert (read.frame.width, read.frame.height, empty.boxes.shape) == (6, 4, (0, 4))


# Workers that die


@pytest.mark.parametrize('method', ['survey', 'run_part', 'finish', 'annotate'])
def test_a_task_whose_worker_dies_is_done_by_another(capfd, method):
    write_bag(Path('long'), {'/image': list(images('coffee', 20))})
    write_bag(Path('small'), {'/image': list(images('rocket', 3))})
    died = []

    def dies(worker, called, arguments):
        if called == method and not died:
            died.append((worker, arguments))
            return True
        return False

    one_process(capfd, 'long', 'small')
    _, lines, calls, summary = fleet('long', 'small', dies=dies)
    same()
    [(worker, arguments)] = died
    again = [(other, given) for other, called, given in calls if called == method and given[:3] == arguments[:3]]
    if method in ('survey', 'run_part'):
        assert [other == worker for other, _ in again] == [True, False]
    # Nothing else is done twice.
    assert len(calls) == len({(called, str(given)) for _, called, given in calls if called != 'open'}) + (
        method in ('survey', 'run_part')) + kinds(calls).count('open')
    assert summary.retries == 1 and len(lines) == 1 and 'died: killed; its task is done again' in lines[0]
    assert list(Path('fleet').glob('.*.part')) == []


def test_a_bag_that_kills_its_workers_is_given_up(capfd):
    for name in ('bad', 'good'):
        write_bag(Path(name), {'/image': list(images('coffee' if name == 'bad' else 'rocket', 20))})
    outcomes, lines, calls, summary = fleet(
        'bad', 'good', dies=lambda worker, method, arguments: method == 'run_part' and (
            str(arguments[0]), arguments[2]) == ('bad', 1))
    assert outcomes['bad'].folder is None and outcomes['good'].counts.images == 20
    assert summary.failed == 1 and summary.retries == ATTEMPTS
    killed = [worker for worker, method, given in calls if method == 'run_part' and (
        str(given[0]), given[2]) == ('bad', 1)]
    assert len(killed) == len(set(killed)) == ATTEMPTS
    assert any(line.startswith('bad: a worker on ') for line in lines)
    assert sorted(path.name for path in Path('fleet').iterdir()) == ['.annotate.lock', 'good']
    # The same command goes on.
    outcomes, lines, calls, _ = fleet('bad', 'good')
    assert outcomes['good'].skipped and outcomes['bad'].counts.images == 20 and lines == []


def test_a_folder_that_cannot_be_written_is_one_error(capfd, monkeypatch):
    write_bag(Path('bag'), {'/image': list(images('coffee', 20))})
    monkeypatch.setattr('trt_perception.fleet.worker.write_end', full_disk)
    with pytest.raises(AnnotateError, match='cannot be written: No space left on device'):
        fleet('bag')
    assert sorted(path.name for path in Path('fleet').iterdir()) == ['.annotate.lock']


def full_disk(file):
    raise OSError(28, 'No space left on device')


def test_a_worker_with_another_model_is_refused(capfd, monkeypatch):
    write_bag(Path('bag'), {'/image': list(images('coffee', 3))})
    monkeypatch.setattr('trt_perception.fleet.worker.run_of', lambda settings: 'other')
    with pytest.raises(Exception, match='differ from those of this command'):
        fleet('bag')


# What is there


def test_what_is_finished_is_skipped(capfd):
    bags = many_kinds_of_bags()
    one_process(capfd, *bags)
    shutil.copytree('one', 'fleet')
    before = relative('fleet')
    outcomes, _, calls, summary = fleet(*bags)
    assert calls == [] and summary.skipped == 4 and all(outcome.skipped for outcome in outcomes.values())
    # Of a copy, the content must be read to know.
    shutil.copytree('small', 'copy')
    outcomes, _, calls, _ = fleet('copy')
    assert outcomes['copy'].skipped and kinds(calls)[-1] == 'survey' and relative('fleet') == before


def test_without_a_size_bags_are_whole_while_there_are_enough(capfd, monkeypatch):
    monkeypatch.setattr('trt_perception.fleet.run.PART_IMAGES', 5)
    for number in range(4):
        write_bag(Path(f'bag{number}'), {'/image': list(images('coffee', 10 + number))})
    bags = [f'bag{number}' for number in range(4)]
    one_process(capfd, *bags)
    _, _, calls, _ = fleet(*bags, workers=1, part=0)
    same()
    # With two bags left or more, one worker has enough to do.
    assert [method for _, method, _ in calls if method != 'survey'] == [
        'open', 'annotate', 'annotate', *['run_part'] * 3, 'finish', *['run_part'] * 3, 'finish']


def test_bags_of_the_same_name_and_of_the_same_content(capfd):
    """Folders get their names in the order of the bags; the same content is annotated once."""
    for place, name in (('x', 'coffee'), ('y', 'rocket')):
        Path(place).mkdir()
        write_bag(Path(place, 'bag'), {'/image': list(images(name, 10))})
    Path('z').mkdir()
    shutil.copytree('x/bag', 'z/bag')
    bags = ['x/bag', 'y/bag', 'z/bag', 'x/bag', 'missing']
    one_process(capfd, *bags)
    # The survey of the first bag is done last.
    outcomes, _, calls, summary = fleet(
        *bags, dies=lambda worker, method, given: worker < 2 and (method, *map(str, given[:1])) == ('survey', 'x/bag'))
    same()
    assert outcomes['z/bag'].skipped and outcomes['z/bag'].folder == Path('fleet/bag')
    assert len([path for path in Path('fleet').iterdir() if path.is_dir()]) == 2
    assert (summary.skipped, summary.failed) == (2, 1) and kinds(calls).count('finish') == 2


def test_ray_options_are_checked(capfd):
    write_bag(Path('bag'), {'/image': list(images('coffee', 3))})
    for arguments, says in (
            (['x', '--ray', 'bag'], '--ray bag: expected the address of a Ray cluster, found a file or folder'),
            (['bag', '--ray-cpus', '2'], 'need --ray'), (['bag', '--ray-images', '9'], 'need --ray'),
            (['s3://bucket/bag', '--ray', '--ray-images', '9'], 'are not split')):
        assert main(['annotate', *arguments, '--model', 'm.onnx', '--output', 'out']) == 1
        assert says in capfd.readouterr().err
    if find_spec('ray') is None:
        assert main(['annotate', 'bag', '--ray', '--model', 'm.onnx', '--output', 'out']) == 1
        assert "the Python package 'ray' is not installed" in capfd.readouterr().err


def test_how_a_worker_came_to_its_engine_is_not_in_the_files():
    """One worker builds the engine, the others load it: their files are the same."""
    write_bag(Path('small'), {'/image': list(images('coffee', 3))})
    bag = OpenBag.of(Path('small'), AnnotateOptions())

    def provenance(built, where):
        description = {
            'backend': 'tensorrt', 'engine': 'd2f287', 'engine_built': built, 'engine_from': where,
            'precision_effective': 'fp16'}
        return bag.provenance('', AnnotateOptions(), SimpleNamespace(describe=lambda: description), None)

    built = provenance('2026-11-29T22:47:22Z', 'build (none was built before)')
    loaded = provenance('2026-11-29T22:48:00Z', 'cache')
    assert built == loaded
    assert built['backend'] == {'backend': 'tensorrt', 'engine': 'd2f287', 'precision_effective': 'fp16'}
