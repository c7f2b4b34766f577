#pragma once
#include <cstdint>

#include "../common/hd.h"

namespace saff {

// The cameras of one image size and the NDC box in which the points are given.
template <class T>
struct NdcCameras {
  int64_t n_cameras;
  T scale_x, scale_y, near, z_max;  // of NDC; z_max < 1 is the farthest that is inverted
  T limit;                          // pixels are clamped to [-limit, limit]
  const T* low;                     // (3,) NDC of the corners of the unit cube
  const T* high;
  const T* c2w;         // (n_cameras, 3, 4), OpenCV axes
  const T* intrinsics;  // (n_cameras, 4): fx, fy, cx, cy
};

// One point as one camera sees it. NDC are affine in (x, y, 1) / z of the world, and pinhole projection is linear in
// them up to a division: so the point is kept divided by its world z, and nothing grows large far away.
template <class T>
struct NdcView {
  const T* c2w;
  const T* intrinsics;
  T inverse_z;  // of the world; negative
  bool at_end;  // z_ndc was clamped
  T local[3];   // camera coordinates / world z
  T pixel[2];   // unclamped
  bool in_front;

  SAFF_HD NdcView(const NdcCameras<T>& cameras, int64_t pose, const T* point) {
    const int64_t last = cameras.n_cameras - 1, camera = pose < 0 ? 0 : (pose > last ? last : pose);
    c2w = cameras.c2w + 12 * camera;
    intrinsics = cameras.intrinsics + 4 * camera;
    T ndc[3];
    for (int d = 0; d < 3; ++d) ndc[d] = cameras.low[d] + point[d] * (cameras.high[d] - cameras.low[d]);
    at_end = ndc[2] > cameras.z_max;
    inverse_z = ((at_end ? cameras.z_max : ndc[2]) - T(1)) / (T(2) * cameras.near);
    const T world[3] = {-ndc[0] / cameras.scale_x, -ndc[1] / cameras.scale_y, T(1)};  // divided by z
    for (int d = 0; d < 3; ++d) local[d] = T(0);
    for (int row = 0; row < 3; ++row) {
      const T offset = world[row] - c2w[4 * row + 3] * inverse_z;
      for (int d = 0; d < 3; ++d) local[d] += c2w[4 * row + d] * offset;
    }
    in_front = local[2] / inverse_z > T(1e-3);  // the depth; false for NaN
    for (int d = 0; d < 2; ++d) pixel[d] = local[d] / local[2] * intrinsics[d] + intrinsics[2 + d];
  }
};

// One work item is one ray.
template <class T>
struct ProjectFlowForward {
  NdcCameras<T> cameras;
  const int64_t* poses;  // (n_rays,)
  const T* points;       // (n_rays, 3) in the unit cube
  T* pixels;             // (n_rays, 2)

  SAFF_HD void operator()(int64_t ray) const {
    const NdcView<T> view(cameras, poses[ray], points + 3 * ray);
    const T limit = cameras.limit;
    for (int d = 0; d < 2; ++d) {
      const T pixel = view.pixel[d];  // NaN fails every comparison and ends at the limit
      pixels[2 * ray + d] = view.in_front && pixel < limit ? (pixel > -limit ? pixel : -limit) : limit;
    }
  }
};

// A coordinate that was clamped passes no gradient, and a point that is not in front of its camera has none.
template <class T>
struct ProjectFlowBackward {
  NdcCameras<T> cameras;
  const int64_t* poses;
  const T* points;
  const T* grad_pixels;  // (n_rays, 2)
  T* grad_points;        // (n_rays, 3)

  SAFF_HD void operator()(int64_t ray) const {
    const NdcView<T> view(cameras, poses[ray], points + 3 * ray);
    T* grad = grad_points + 3 * ray;
    for (int d = 0; d < 3; ++d) grad[d] = T(0);
    if (!view.in_front) return;
    T grad_local[3] = {};
    for (int d = 0; d < 2; ++d) {
      if (!(view.pixel[d] < cameras.limit && view.pixel[d] > -cameras.limit)) continue;
      grad_local[d] = grad_pixels[2 * ray + d] * view.intrinsics[d] / view.local[2];
      grad_local[2] -= grad_local[d] * view.local[d] / view.local[2];
    }
    T grad_world[3] = {}, grad_inverse_z = T(0);
    for (int row = 0; row < 3; ++row) {
      for (int d = 0; d < 3; ++d) grad_world[row] += view.c2w[4 * row + d] * grad_local[d];
      grad_inverse_z -= view.c2w[4 * row + 3] * grad_world[row];
    }
    const T grad_ndc[3] = {-grad_world[0] / cameras.scale_x, -grad_world[1] / cameras.scale_y,
                           view.at_end ? T(0) : grad_inverse_z / (T(2) * cameras.near)};
    for (int d = 0; d < 3; ++d) grad[d] = grad_ndc[d] * (cameras.high[d] - cameras.low[d]);
  }
};

}  // namespace saff
