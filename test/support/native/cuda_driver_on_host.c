/* Copyright 2026 trt_perception contributors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A stand-in for libcuda.so.1: one GPU whose memory is that of the host. It has only what a session needs, and counts
 * what is not given back. Copies run at once. Signatures: cuda.h of CUDA 12, written here without it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int CUresult;
enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_CONTEXT = 201,
       NOT_FOUND = 500, LAUNCH_FAILED = 719 };

#define API __attribute__((visibility("default")))
#define TOTAL ((size_t)8 << 30)

static int context_object, stream_object;
static int depth;
/* Live ones, by kind: 0 GPU memory, 1 host memory, 2 streams, 3 retained contexts. */
API int fake_live[4];
/* What the device has failed with; every call that uses a context returns it. */
API int fake_broken;

static CUresult used(void) { return depth <= 0 ? INVALID_CONTEXT : fake_broken; }

API int fake_depth(void) { return depth; }

API CUresult cuInit(unsigned flags) { return flags ? INVALID_VALUE : SUCCESS; }
API CUresult cuDriverGetVersion(int *version) { *version = 12080; return SUCCESS; }
API CUresult cuDeviceGetCount(int *count) { *count = 1; return SUCCESS; }
API CUresult cuDeviceGet(int *device, int index) { *device = index; return index ? INVALID_DEVICE : SUCCESS; }
API CUresult cuDeviceGetName(char *name, int size, int device) {
    (void)device;
    snprintf(name, size, "Host GPU");
    return SUCCESS;
}
API CUresult cuDeviceTotalMem_v2(size_t *total, int device) { (void)device; *total = TOTAL; return SUCCESS; }
API CUresult cuDeviceGetAttribute(int *value, int which, int device) {
    (void)device;
    *value = which == 75 ? 8 : which == 76 ? 7 : which == 18 ? 1 : which == 16 ? 4 : 0;
    return SUCCESS;
}
API CUresult cuDeviceComputeCapability(int *major, int *minor, int device) {
    (void)device;
    *major = 8;
    *minor = 7;
    return SUCCESS;
}
API CUresult cuDevicePrimaryCtxRetain(void **context, int device) {
    (void)device;
    *context = &context_object;
    fake_live[3]++;
    return SUCCESS;
}
API CUresult cuDevicePrimaryCtxRelease_v2(int device) { (void)device; fake_live[3]--; return SUCCESS; }
API CUresult cuDevicePrimaryCtxRelease(int device) { return cuDevicePrimaryCtxRelease_v2(device); }
API CUresult cuCtxPushCurrent_v2(void *context) {
    if (context != &context_object) return INVALID_CONTEXT;
    depth++;
    return SUCCESS;
}
API CUresult cuCtxPopCurrent_v2(void **context) {
    if (depth <= 0) return INVALID_CONTEXT;
    depth--;
    if (context) *context = &context_object;
    return SUCCESS;
}
API CUresult cuCtxGetCurrent(void **context) { *context = depth > 0 ? &context_object : NULL; return SUCCESS; }
API CUresult cuCtxGetDevice(int *device) { *device = 0; return depth > 0 ? SUCCESS : INVALID_CONTEXT; }
API CUresult cuCtxSynchronize(void) { return used(); }
API CUresult cuMemGetInfo_v2(size_t *available, size_t *total) { *available = TOTAL / 2; *total = TOTAL; return used(); }
API CUresult cuMemAlloc_v2(uint64_t *address, size_t size) {
    if (used()) return used();
    if (!size || size > TOTAL) return size ? OUT_OF_MEMORY : INVALID_VALUE;
    *address = (uint64_t)(uintptr_t)aligned_alloc(256, (size + 255) / 256 * 256);
    fake_live[0]++;
    return SUCCESS;
}
API CUresult cuMemFree_v2(uint64_t address) {
    if (used()) return used();
    free((void *)(uintptr_t)address);
    fake_live[0]--;
    return SUCCESS;
}
API CUresult cuMemHostAlloc(void **memory, size_t size, unsigned flags) {
    (void)flags;
    if (used()) return used();
    *memory = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    fake_live[1]++;
    return SUCCESS;
}
API CUresult cuMemFreeHost(void *memory) {
    if (used()) return used();
    free(memory);
    fake_live[1]--;
    return SUCCESS;
}
API CUresult cuMemHostGetDevicePointer_v2(uint64_t *address, void *memory, unsigned flags) {
    if (flags) return INVALID_VALUE;
    *address = (uint64_t)(uintptr_t)memory;
    return used();
}
API CUresult cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *stream) {
    if (stream != &stream_object) return INVALID_VALUE;
    if (!used()) memcpy((void *)(uintptr_t)to, from, size);
    return used();
}
API CUresult cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *stream) {
    if (stream != &stream_object) return INVALID_VALUE;
    if (!used()) memcpy(to, (void *)(uintptr_t)from, size);
    return used();
}
API CUresult cuStreamCreate(void **stream, unsigned flags) {
    /* Only streams that do not wait for the default stream. */
    if (flags != 1) return INVALID_VALUE;
    *stream = &stream_object;
    fake_live[2]++;
    return used();
}
API CUresult cuStreamDestroy_v2(void *stream) { (void)stream; fake_live[2]--; return SUCCESS; }
API CUresult cuStreamSynchronize(void *stream) { return stream == &stream_object ? used() : INVALID_VALUE; }
API CUresult cuGetErrorString(int code, const char **text) {
    *text = code == OUT_OF_MEMORY ? "out of memory" : code == LAUNCH_FAILED ? "unspecified launch failure" : "error";
    return SUCCESS;
}
API CUresult cuGetErrorName(int code, const char **text) { return cuGetErrorString(code, text); }

/* For CudaDriver, which looks for all of its functions at once. */
#define MISSING(name) API CUresult name(void) { return NOT_FOUND; }
MISSING(cuModuleLoadData) MISSING(cuModuleGetFunction) MISSING(cuModuleUnload) MISSING(cuLaunchKernel)
MISSING(cuStreamBeginCapture_v2) MISSING(cuStreamEndCapture) MISSING(cuGraphInstantiateWithFlags)
MISSING(cuGraphLaunch) MISSING(cuGraphDestroy) MISSING(cuGraphExecDestroy) MISSING(cuEventCreate)
MISSING(cuEventRecord) MISSING(cuEventDestroy_v2) MISSING(cuStreamWaitEvent) MISSING(cuMemcpyDtoDAsync_v2)
MISSING(cuPointerGetAttribute)

/* cuda-bindings asks for each function by its name without a version. */
API CUresult cuGetProcAddress_v2(const char *name, void **found, int version, uint64_t flags, int *status) {
    char versioned[128];
    (void)version;
    (void)flags;
    snprintf(versioned, sizeof versioned, "%s_v2", name);
    *found = dlsym(RTLD_DEFAULT, versioned);
    if (!*found) {
        void *self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
        *found = self ? dlsym(self, versioned) : NULL;
        if (!*found && self) *found = dlsym(self, name);
    }
    if (status) *status = *found ? 0 : 1;
    return *found ? SUCCESS : NOT_FOUND;
}
API CUresult cuGetProcAddress(const char *name, void **found, int version, uint64_t flags) {
    return cuGetProcAddress_v2(name, found, version, flags, NULL);
}
