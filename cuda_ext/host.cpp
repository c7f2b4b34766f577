// The host build of every op.
#include "common/export.h"
#include "common/launch.h"
#include "ops/accumulate.inc"
<<<<<<< HEAD
#include "ops/composite.inc"
=======
>>>>>>> d74595b43a46074b5383be1969a7959d59c247b8
#include "ops/distortion.inc"
#include "ops/flow_sample.inc"
#include "ops/hash_encode.inc"
#include "ops/lazy_adam.inc"
#include "ops/march.inc"
#include "ops/mlp.inc"
#include "ops/project_flow.inc"
<<<<<<< HEAD
=======
#include "ops/render_weights.inc"
>>>>>>> d74595b43a46074b5383be1969a7959d59c247b8
#include "ops/splat.inc"
