// The host build of every op.
#include "common/export.h"
#include "common/launch.h"
#include "ops/accumulate.inc"
#include "ops/flow_sample.inc"
#include "ops/hash_encode.inc"
#include "ops/joint_weights.inc"
#include "ops/march.inc"
#include "ops/render_weights.inc"
