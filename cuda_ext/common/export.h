#pragma once
// SAFF_EXPORT(name) declares a kernel entry with C linkage; host/ and device/ choose the suffix.
#define SAFF_API extern "C" __attribute__((visibility("default")))
#ifdef __CUDACC__
#define SAFF_EXPORT(name) SAFF_API const char* saff_##name##_cuda
#else
#define SAFF_EXPORT(name) SAFF_API const char* saff_##name##_cpu
#endif
