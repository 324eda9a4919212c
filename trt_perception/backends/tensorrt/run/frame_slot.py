# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the GPU needs for one image beside the network: its upload, its preprocessing, and the reading of its result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....model.geometry import Geometry
from ....model.heads.classification import ClassificationHead
from ....model.heads.detection import RawOutput
from ....model.heads.further_columns import SegmentHead
from ....model.heads.yolo import YoloHead
from ....model.spec import ModelSpec
from ....pipeline.interface import PostprocessSettings
from ....pipeline.preprocess import geometry_of
from ....pipeline.tensorrt_options import RunOptions
from ....results.results import Result
from ..cuda.kernel_module import KernelModule
from ..cuda.runtime_api import CudaSession, DeviceBuffer, HostBuffer
from .detection_work import DetectionWork
from .frame_copy import copying_speedup
from .frame_upload import FULL_HD, FrameUpload
from .resampling import (
    FrameFormat,
    Sampling,
    kernel_name,
    reads_once,
    sampling_of,
    sampling_tables,
    sampling_threads,
)
from .runtime import Tensor

PREPROCESS_BLOCK = (32, 8)


class FrameSlot:
    """The work for one image before and after the network, and its memory. Use it with the session's context current.

    The network reads the image from `taken`, and leaves its outputs in `made`: tensors with a batch of 1, which may be
    rows of larger ones.

    module, form, sampling: the kernels, the format of the frames, and the arguments of the kernel that reads them
    detection: the work after a YOLO detector; None for other heads, whose outputs are copied to the host
    head: the head that decodes these outputs on the host
    """

    def __init__(
        self, spec: ModelSpec, options: RunOptions, session: CudaSession, taken: Tensor, made: Sequence[Tensor],
        module: KernelModule, capacity: int = FULL_HD,
    ) -> None:
        """capacity: bytes of a frame for which page-locked memory is allocated at once."""
        self._spec = spec
        self._session = session
        self._taken = taken
        self._made = made
        self.module = module
        self._options = options
        self.head = spec.head
        self._upload = FrameUpload(session, capacity)
        self._interpolation = spec.preprocessing.interpolation
        self._tables: DeviceBuffer | None = None
        self._read = [tensor for tensor in made if tensor.name in spec.head.output_names]
        self._fetched: list[tuple[Tensor, HostBuffer]] = []
        self._masks: tuple[Tensor, HostBuffer] | None = None
        self._geometry: Geometry | None = None
        self.detection: DetectionWork | None = None
        if isinstance(spec.head, YoloHead):
            self.detection = DetectionWork(spec.head, self._read[0], session, module)
        else:
            self._fetched = [(tensor, session.allocate_host(tensor.size)) for tensor in self._read]
        self.form: FrameFormat | None = None
        self.sampling = Sampling()

    @property
    def zero_copy(self) -> bool:
        """Whether the GPU reads frames of the current format from host memory."""
        return self._upload.in_place

    def prepare(self, form: FrameFormat) -> None:
        """Prepare for frames of this format; does nothing if that is done."""
        if form == self.form:
            return
        self.form = None
        # A failed frame may have left work on the stream.
        self._session.synchronize()
        geometry = self._geometry = geometry_of(self._spec, form.width, form.height)
        tables = sampling_tables(self._interpolation, form, geometry, copying_speedup())
        self._upload.reserve(form.size, form.step, tables.used, self._in_place(geometry))
        sampling = sampling_of(self._spec, form, geometry)
        sampling.source = self._upload.pixels_address
        tables.place(sampling, self._stored(tables.data))
        sampling.tensor = self._taken.address
        if self.detection is not None:
            self.detection.prepare(geometry)
            sampling.candidates = self.detection.header_address
        self.sampling = sampling
        self._session.synchronize()
        self.form = form

    def stage(self, pixels: np.ndarray, settings: PostprocessSettings) -> None:
        """Copy the frame to the memory from which the GPU gets it."""
        if self.detection is not None:
            self.detection.update(settings.detection)
        self._upload.stage(pixels)

    def enqueue_before(self, stream: int) -> None:
        """Queue the work before the network."""
        assert self.form is not None
        self._upload.enqueue()
        self.module.launch(
            kernel_name(self._interpolation, self.form), sampling_threads(self.sampling), PREPROCESS_BLOCK,
            self.sampling, stream)

    def enqueue_after(self, stream: int) -> None:
        """Queue the work after the network."""
        if self.detection is not None:
            self.detection.enqueue(stream)
        for tensor, buffer in self._fetched:
            self._session.download(buffer.array, tensor.address)

    def result(self, settings: PostprocessSettings, masks: bool = False) -> Result:
        """Return the result of the launched frame; EngineError if values are not finite. The stream must be idle."""
        if self.detection is not None:
            return self.detection.result(settings.detection)
        head = self.head
        values: RawOutput = head.pick({
            tensor.name: buffer.array.view(tensor.dtype).reshape(tensor.shape) for tensor, buffer in self._fetched})
        if isinstance(head, ClassificationHead):
            return head.decode(values, settings.classification)
        assert self._geometry is not None
        if masks and isinstance(head, SegmentHead) and head.prototypes_name:
            values[head.prototypes_name] = self._prototypes(head.prototypes_name)
            return head.decode_with_masks(values, self._geometry, settings.detection)
        return head.decode(values, self._geometry, settings.detection)

    def _prototypes(self, name: str) -> np.ndarray:
        """Return the prototypes of the launched frame, copied from the GPU. The next call overwrites them."""
        if self._masks is None:
            tensor = next(tensor for tensor in self._made if tensor.name == name)
            self._masks = tensor, self._session.allocate_host(tensor.size)
        tensor, buffer = self._masks
        self._session.download(buffer.array, tensor.address)
        self._session.synchronize()
        prototypes: np.ndarray = buffer.array.view(tensor.dtype).reshape(tensor.shape)
        return prototypes

    def raw_output(self) -> RawOutput:
        """Return a copy of what the head reads for the launched frame. The stream must be idle."""
        copies = [(tensor, np.empty(tensor.size, np.uint8)) for tensor in self._read]
        for tensor, values in copies:
            self._session.download(values, tensor.address)
        self._session.synchronize()
        return self._spec.head.pick({
            tensor.name: values.view(tensor.dtype).reshape(tensor.shape) for tensor, values in copies})

    def _stored(self, data: np.ndarray) -> int:
        """Queue the upload of the tables; return their device address. The stream must be idle."""
        if self._tables is None or self._tables.size < data.nbytes:
            old, self._tables = self._tables, None
            if old is not None:
                self._session.release(old)
            self._tables = self._session.allocate(data.nbytes)
        self._session.upload(self._tables.address, data)
        return self._tables.address

    def _in_place(self, geometry: Geometry) -> bool:
        wanted = self._options.zero_copy
        # A kernel reads over the bus as fast as the copy engine, and the copy itself takes no time. This is a gain only
        # if the kernel does not read the same bytes many times, and if no other network waits for the GPU meanwhile:
        # the copy engine works beside it.
        reads_well = reads_once(self._interpolation, geometry) and self._options.concurrent_runs == 1
        return wanted == 'on' or (wanted == 'auto' and (self._session.integrated or reads_well))
